"""Two boards on one bare cable: nobody there hands out addresses, so both take link-local ones of IPv4 (RFC 3927), find
one another and pair. Then a router is plugged in, and its addresses take the place of those.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable

from image.emulator.board import Board
from image.emulator.lan import Lan
from tests.boot.pairing_rows import pairing_rows
from tests.boot.rows import Table, wait_for

TAKEN_WITHIN_S, SERVED_WITHIN_S, WORKS_WITHIN_S = 180.0, 240.0, 180.0
ADDRESSES = "ip -4 -o address show dev eth1; ip -4 route show default"
_LINK_LOCAL, _SERVED = (re.compile(rf"\binet ({network}[.0-9]+)/") for network in (r"169\.254\.", r"192\.168\.77\."))


def cable_rows(one: Board, other: Board, lan: Lan, table: Table) -> None:
    """`lan` has no DHCP yet; both boards are up on it, and their way out is another interface."""
    table.check("on a bare cable both boards take a link-local address", lambda: _alone((one, other)))
    pairing_rows(one, other, table)
    lan.serve_dhcp()
    table.check("a router comes: its addresses take the place of those", lambda: _served((one, other)))
    table.check("and the mesh of the two works on", lambda: _works(one, other))


def _alone(boards: tuple[Board, Board]) -> tuple[str, bool]:
    return _all(boards, TAKEN_WITHIN_S, lambda said: bool(_LINK_LOCAL.search(said)) and not _SERVED.search(said))


def _served(boards: tuple[Board, Board]) -> tuple[str, bool]:
    """The way out is not lost by it."""

    def is_served(said: str) -> bool:
        return bool(_SERVED.search(said)) and not _LINK_LOCAL.search(said) and "default via" in said

    return _all(boards, SERVED_WITHIN_S, is_served)


def _all(boards: tuple[Board, Board], within_s: float, is_right: Callable[[str], bool]) -> tuple[str, bool]:
    said = [""] * len(boards)

    def look() -> bool:
        said[:] = [board.ssh(ADDRESSES, user="admin", check=False).stdout for board in boards]
        return all(map(is_right, said))

    ok = wait_for(look, within_s, 2) is not None
    return " / ".join(said), ok


def _works(one: Board, other: Board) -> tuple[str, bool]:
    """Asked of the node that joined: its manager answers, over a link that is up."""
    links = ""

    def look() -> bool:
        nonlocal links
        status = json.loads(other.ssh("node status --json", user="admin", check=False).stdout or "{}")
        links = one.ssh("node links", user="admin", check=False).stdout
        return bool(status.get("works") and status.get("links_up"))

    ok = wait_for(look, WORKS_WITHIN_S, 3) is not None
    return f"{links} {other.ssh('node status', user='admin', check=False).stdout}", ok
