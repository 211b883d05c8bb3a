"""Two boards on one switch, as somebody with two thumbs sees them: named by mDNS, shut to strangers, paired by their
buttons, with the code read from both lights. Both must be up, and nobody may have told them anything. Afterwards
`other` is of `one`'s network; neither was restarted.
"""

from __future__ import annotations

import json
import re
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

from image.emulator.board import Board
from tests.boot.lights import codes, edges
from tests.boot.rows import Table, wait_for

HELD_S, PRESSED_S = 4.0, 0.25
FOUND_WITHIN_S, JOINED_WITHIN_S = 110.0, 150.0
YES_WITHIN_S = 25.0
ROUND_S = 26.0
"""The pairing pattern and four digits of six."""

LEAST_BLINKS = 7
"""Of the pairing pattern between two codes; no digit has so many."""

LAN = "ip -4 -o address show dev eth1 | grep -oE '(192\\.168|169\\.254)\\.[.0-9]+' | head -1"
KNOCK = "timeout {within_s} bash -c '</dev/tcp/{at}/{port}' 2>/dev/null && echo open || echo shut"
RESOLVED = "org.freedesktop.resolve1"
CALLED = f"busctl get-property {RESOLVED} /org/freedesktop/resolve1 {RESOLVED}.Manager LLMNRHostname"
"""Boards of one name take numbers behind it."""

ANNOUNCED = (
    "resolvectl query --legend=no -p mdns --type=SRV {name}._skywire._tcp.local;"
    " resolvectl query --legend=no -p mdns {name}.local"
)


def pairing_rows(one: Board, other: Board, table: Table) -> None:
    here, there = (_address(board) for board in (one, other))
    table.check("a board is found by mDNS, by its name and as _skywire._tcp", lambda: _announced(one, other, here))
    table.check("a lone board's join port is shut to its network", lambda: _shut(other, here))
    table.check("both buttons held: both lights blink one and the same code", lambda: _compare(one, other))
    table.check("both pressed: the new board joins, and both lights say yes", lambda: _confirm(one, other))
    table.check("the new board's own manager has ended, and stays so", lambda: _retired(other))
    table.check("the join port is open now that there is a member", lambda: _open(other, here, there))


def _address(board: Board) -> str:
    return board.ssh(LAN, user="admin").stdout.strip()


def _announced(one: Board, other: Board, at: str) -> tuple[str, bool]:
    def look() -> str | None:
        name = one.ssh(CALLED, user="admin").stdout.split('"')[1]
        said = other.ssh(ANNOUNCED.format(name=name), user="admin", check=False).stdout
        return said if at in said and "_skywire._tcp" in said else None

    said = wait_for(look, 60, 2)
    return said or f"{one.ssh(CALLED, user='admin').stdout} is not found at {at}", said is not None


def _shut(seen_from: Board, at: str) -> tuple[str, bool]:
    said = {port: _knock(seen_from, at, port, is_open=port == 22) for port in (22, 7997, 7998)}
    return f"{said}", said == {22: "open", 7997: "shut", 7998: "shut"}


def _open(seen_from: Board, at: str, own: str) -> tuple[str, bool]:
    said = {port: _knock(seen_from, at, port, is_open=port == 7997) for port in (7997, 7998)}
    return f"{own} to {at}: {said}", said == {7997: "open", 7998: "shut"}


def _knock(seen_from: Board, at: str, port: int, *, is_open: bool) -> str:
    """What should be open is waited for on a busy machine too."""
    within_s = 60 if is_open else 12
    return seen_from.ssh(KNOCK.format(at=at, port=port, within_s=within_s), user="admin").stdout.strip()


def _compare(one: Board, other: Board) -> tuple[str, bool]:
    one.press(HELD_S)
    other.press(HELD_S)
    shown = wait_for(lambda: _shown(one) if "comparing" in _shown(one) else None, FOUND_WITHIN_S, 1)
    if shown is None:
        return f"no code: {_shown(one)} / {_shown(other)}", False
    with ThreadPoolExecutor() as both:
        seen = [*both.map(_read_code, (one, other))]
    told = [json.loads(_shown(board) or "{}").get("code") for board in (one, other)]
    return f"the lights blink {seen}, the shells say {told}", len({*seen, *told}) == 1 and None not in told


def _read_code(board: Board) -> str:
    """As a person counts it, from one pause to the next."""
    counts = codes([(at, status) for at, status, _ in board.watch_lights(2.2 * ROUND_S)])
    for place, count in enumerate(counts):
        digits = counts[place + 1 : place + 5]
        if count >= LEAST_BLINKS and len(digits) == 4 and max(digits) < LEAST_BLINKS:
            return "".join(map(str, digits))
    return f"unread: {counts}"


def _confirm(one: Board, other: Board) -> tuple[str, bool]:
    one.press(PRESSED_S)
    other.press(PRESSED_S)
    with ThreadPoolExecutor() as both:
        lights = [*both.map(_said_yes, (one, other))]

    def joined() -> str | None:
        said = one.ssh("sudo manager nodes --json", user="admin", check=False).stdout
        status = json.loads(other.ssh("node status --json", user="admin", check=False).stdout or "{}")
        is_in = status.get("works") and status["node_id"] in said
        return f"'{status['node_id'][:8]}' is a member" if is_in else None

    said = wait_for(joined, JOINED_WITHIN_S, 2)
    return f"{said or 'not joined'}; lights: {lights}", said is not None and all(lights)


def _said_yes(board: Board) -> bool:
    """Long flashes one after the other, as nothing else has them."""
    changes = edges([(at, status) for at, status, _ in board.watch_lights(YES_WITHIN_S, every_s=0.01)])
    runs = [(lit, after - at) for (at, lit), (after, _) in pairwise(changes)]
    looks = "".join(
        "L" if lit and 0.5 < took < 1 else "s" if not lit and 0.1 < took < 0.45 else "-" for lit, took in runs
    )
    return "LsL" in looks


def _retired(board: Board) -> tuple[str, bool]:
    def look() -> str | None:
        said = board.ssh("list_apps", check=False).stdout
        return said if said and not re.search(r"\bmanager\b", said) else None

    said = wait_for(look, 60, 2)
    return said or "its manager still runs", said is not None


def _shown(board: Board) -> str:
    """What a pairing says in the shell; empty where there is none."""
    return board.ssh("pair status --json", check=False).stdout.strip()
