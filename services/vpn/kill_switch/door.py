"""The door to the table `inet skywire_kill`. Its calls block for as long as the kernel takes, some milliseconds; each
opens and closes what it needs, so whoever calls owns nothing of it afterwards.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec

from services.kernel.errors import AbsentError
from services.kernel.nft_library import Library
from services.vpn.kill_switch.rules import BLOCKED, FAMILY, MARK, NAME, PORTALS, Rules


class Portal(msgspec.Struct, frozen=True):
    """Programs with this group id pass the kill switch, for so many seconds more."""

    gid: int
    left_s: int


class KillSwitch(msgspec.Struct, frozen=True):
    """`blocked`: packets that were refused since it was loaded. `mark` tells which rules are loaded."""

    is_on: bool
    mark: str = ""
    blocked: int = 0
    portals: tuple[Portal, ...] = ()


class _Open(msgspec.Struct):
    val: int
    expires: int = 0


class _Element(msgspec.Struct):
    elem: _Open


def put(wanted: Rules) -> None:
    """In one transaction; nothing happens where these rules are loaded already, portals stay open. Raises DoorError."""
    with _opened() as library:
        if _mark(library) != wanted.mark:
            library.run(wanted.text)


def drop() -> bool:
    """Whether there was one to be taken away. Raises DoorError."""
    with _opened() as library:
        try:
            library.run(f"delete table {FAMILY} {NAME}")
        except AbsentError:
            return False
    return True


def read() -> KillSwitch:
    """Raises DoorError."""
    with _opened() as library:
        mark = _mark(library)
        if not mark:
            return KillSwitch(is_on=False)
        counters = library.list(f"counters table {FAMILY} {NAME}")
        blocked = next((one.counter.packets for one in counters if one.counter and one.counter.name == BLOCKED), 0)
        listed = next((one.set.elem for one in library.list(f"set {FAMILY} {NAME} {PORTALS}") if one.set), [])
    return KillSwitch(is_on=True, mark=mark, blocked=blocked, portals=tuple(map(_portal, listed)))


def open_portal(gid: int, for_s: int) -> None:
    """The kernel itself ends it. Raises AbsentError where the kill switch is off."""
    with _opened() as library:
        library.run(f"add element {FAMILY} {NAME} {PORTALS} {{ {gid} timeout {for_s}s }}")


def close_portal(gid: int) -> None:
    with _opened() as library:
        try:
            library.run(f"delete element {FAMILY} {NAME} {PORTALS} {{ {gid} }}")
        except AbsentError:
            return


@contextmanager
def _opened() -> Iterator[Library]:
    library = Library()
    try:
        yield library
    finally:
        library.close()


def _mark(library: Library) -> str:
    found = [one.chain for one in library.list(f"chains {FAMILY}") if one.chain and one.chain.table == NAME]
    return next((chain.name.removeprefix(MARK) for chain in found if chain.name.startswith(MARK)), "")


def _portal(found: Any) -> Portal:
    inner = msgspec.convert(found, _Element).elem
    return Portal(inner.val, inner.expires)
