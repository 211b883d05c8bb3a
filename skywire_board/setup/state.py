"""What was applied last, kept on the data partition: the words, and how a file on the card is recognised. No I/O.

A file of the boot partition is known by a sum of each of its 512-byte sectors, before and after its secrets were
blanked: whatever mixture of both a power cut has left, it is the file that was applied, and only the blanking goes on.
"""

import hashlib
from collections.abc import Mapping, Sequence

import msgspec

from skywire_board.setup.document import Span, mask

SECTOR = 512


class Applied(msgspec.Struct, frozen=True):
    """A file of the boot partition as it was when it was applied."""

    name: str
    before: tuple[str, ...]
    after: tuple[str, ...]
    spans: tuple[Span, ...] = ()


class State(msgspec.Struct, frozen=True):
    """`written`: path → digest of what set-up wrote there; `keys`: name of a Wi-Fi network → its key (secret); `notes`:
    what a person should know of the files.
    """

    files: tuple[Applied, ...] = ()
    written: dict[str, str] = {}
    keys: dict[str, str] = {}
    notes: tuple[str, ...] = ()
    version: int = 1


def sums(data: bytes) -> tuple[str, ...]:
    """Of each sector, the last one as short as it is."""
    return tuple(hashlib.sha256(data[at : at + SECTOR]).hexdigest() for at in range(0, len(data), SECTOR))


def applied(name: str, data: bytes, spans: Sequence[Span]) -> Applied:
    return Applied(name, sums(data), sums(mask(data, list(spans))), tuple(spans))


def is_applied(state: State, files: Mapping[str, bytes]) -> bool:
    """Whether the files are those that were applied, blanked or not or half."""
    known = {one.name: one for one in state.files}
    return known.keys() == files.keys() and all(_is(known[name], data) for name, data in files.items())


def _is(one: Applied, data: bytes) -> bool:
    found = sums(data)
    if len(found) != len(one.before):
        return False
    return all(now in pair for now, pair in zip(found, zip(one.before, one.after, strict=True), strict=True))


def blanked(state: State, files: Mapping[str, bytes]) -> dict[str, bytes]:
    """The files as they are to be, secrets blanked."""
    return {one.name: mask(files[one.name], list(one.spans)) for one in state.files}


def sum_lines(files: Mapping[str, bytes]) -> str:
    """As `sha256sum` prints them, for mount-data to compare with."""
    return "".join(f"{hashlib.sha256(data).hexdigest()}  {name}\n" for name, data in files.items())
