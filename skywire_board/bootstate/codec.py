"""The boot state: which slot is tried first, how many tries each has left. Pure: bytes in, bytes out.

Two copies of one 512-byte sector each, in the gap between the partition table and the first partition. A copy
is U-Boot's environment format: crc32 of the rest (little endian u32), then NAME=value words, each ended by a
zero byte, padded with zeros, for `env import -c ADDR 0x200`. The valid copy with the highest SKY_SEQ counts;
a writer writes the other one, so a torn write loses nothing.
"""

import zlib
from dataclasses import dataclass, replace

from skywire_board.errors import BootStateError

SECTOR_BYTES = 512
SECTORS = (2046, 2047)
TRIES = 3
SLOTS = ("A", "B")
ORDERS = ("A B", "B A")
NAMES = ("SKY_SEQ", "SKY_ORDER", "SKY_A_LEFT", "SKY_B_LEFT")


@dataclass(frozen=True, slots=True)
class BootState:
    """`seq` rises with each write (hex on the card, as U-Boot counts so); 0..9 tries are left of A and B."""

    seq: int = 0
    order: str = "A B"
    a_left: int = TRIES
    b_left: int = TRIES


@dataclass(frozen=True, slots=True)
class Found:
    """What the two sectors hold: the state that counts, and the sector to write next."""

    state: BootState | None
    free_sector: int


def render(state: BootState) -> bytes:
    """One sector."""
    values = (f"{state.seq:x}", state.order, str(state.a_left), str(state.b_left))
    words = "".join(f"{name}={value}\0" for name, value in zip(NAMES, values, strict=True))
    data = (words.encode("ascii") + b"\0").ljust(SECTOR_BYTES - 4, b"\0")
    return zlib.crc32(data).to_bytes(4, "little") + data


def parse(sector: bytes) -> BootState | None:
    """The state in a sector; None when the checksum or a value is wrong. Other variables are left alone."""
    data = sector[4:]
    if len(sector) != SECTOR_BYTES or zlib.crc32(data) != int.from_bytes(sector[:4], "little"):
        return None
    words = data.split(b"\0\0", 1)[0].decode("ascii", "replace").split("\0")
    values = dict(word.split("=", 1) for word in words if "=" in word)
    try:
        seq = int(values["SKY_SEQ"], 16)
        order = values["SKY_ORDER"]
        left = [int(values[f"SKY_{slot}_LEFT"]) for slot in SLOTS]
    except (KeyError, ValueError):
        return None
    if order not in ORDERS or seq < 0 or not all(0 <= tries <= 9 for tries in left):
        return None
    return BootState(seq, order, *left)


def choose(copies: tuple[bytes, bytes]) -> Found:
    """The copy that counts. BootStateError when neither is ours and the gap is not empty: hands off."""
    states = [parse(copy) for copy in copies]
    valid = [(state.seq, index) for index, state in enumerate(states) if state is not None]
    if valid:
        index = max(valid)[1]
        return Found(states[index], SECTORS[1 - index])
    if any(any(copy) for copy in copies):
        raise BootStateError(
            f"sectors {SECTORS[0]} and {SECTORS[1]} hold something that is no boot state "
            "(is this the card? if so, clear both sectors: the boot loader then starts with slot A)"
        )
    return Found(None, SECTORS[0])


def mark_good(state: BootState, slot: str) -> BootState:
    """`state` with all tries for `slot`; the same when it has them already."""
    return replace(state, a_left=TRIES) if slot == "A" else replace(state, b_left=TRIES)


def read_slot(text: str) -> str:
    """`sky.slot` of a kernel command line; empty when there is none."""
    words = dict(word.split("=", 1) for word in text.split() if "=" in word)
    return words.get("sky.slot", "")
