"""The boot state: which slot is tried first, how many tries each has left. Pure: bytes in, bytes out.

Two copies of one 512-byte sector each, in the gap between the partition table and the first partition. A copy
is U-Boot's environment format: crc32 of the rest (little endian u32), then NAME=value words, each ended by a
zero byte, padded with zeros, for `env import -c ADDR 0x200`. The valid copy with the highest SKY_SEQ counts;
a writer writes the other one, so a torn write loses nothing.

The first four words are as old as the first boot loader's script, which no update replaces; one that does not know the
others drops them when it writes. So they are missing at times, and mean their defaults then.
"""

import zlib
from dataclasses import dataclass, replace

from skywire_board.errors import BootStateError

SECTOR_BYTES = 512
SECTORS = (2046, 2047)
TRIES = 3
SLOTS = ("A", "B")
ORDERS = ("A B", "B A")
NAMES = ("SKY_SEQ", "SKY_ORDER", "SKY_A_LEFT", "SKY_B_LEFT", "SKY_A_GOOD", "SKY_B_GOOD", "SKY_UNCLEAN")
MOST = 9


@dataclass(frozen=True, slots=True)
class BootState:
    """`seq` rises with each write (hex on the card, as U-Boot counts so); 0..9 tries are left of A and B.

    `a_good`, `b_good`: what the slot holds was marked good once. `unclean`: boots in a row that neither lasted ten
    minutes nor ended in order, the present one included; the boot loader changes slots after three.
    """

    seq: int = 0
    order: str = "A B"
    a_left: int = TRIES
    b_left: int = TRIES
    a_good: bool = False
    b_good: bool = False
    unclean: int = 0

    def left(self, slot: str) -> int:
        """The tries that `slot` has."""
        return self.a_left if slot == "A" else self.b_left

    def good(self, slot: str) -> bool:
        """Whether what `slot` holds was marked good once."""
        return self.a_good if slot == "A" else self.b_good


@dataclass(frozen=True, slots=True)
class Found:
    """What the two sectors hold: the state that counts, and the sector to write next."""

    state: BootState | None
    free_sector: int


def render(state: BootState) -> bytes:
    """One sector."""
    numbers = (state.a_left, state.b_left, int(state.a_good), int(state.b_good), state.unclean)
    values = (f"{state.seq:x}", state.order, *map(str, numbers))
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
        good = [int(values.get(f"SKY_{slot}_GOOD", 0)) for slot in SLOTS]
        unclean = int(values.get("SKY_UNCLEAN", 0))
    except (KeyError, ValueError):
        return None
    if order not in ORDERS or seq < 0 or not all(0 <= number <= MOST for number in (*left, *good, unclean)):
        return None
    return BootState(seq, order, left[0], left[1], bool(good[0]), bool(good[1]), unclean)


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


def other(slot: str) -> str:
    """The slot that `slot` is not."""
    return "B" if slot == "A" else "A"


def is_untried(state: BootState, slot: str) -> bool:
    """Whether `slot` was never marked good and there is one to go back to."""
    return not state.good(slot) and state.good(other(slot))


def mark_good(state: BootState, slot: str) -> BootState:
    """`state` with all tries for `slot`, which has shown that it works; the same when all that is so already."""
    return replace(state, a_left=TRIES, a_good=True) if slot == "A" else replace(state, b_left=TRIES, b_good=True)


def mark_bad(state: BootState, slot: str) -> BootState:
    """`state` in which `slot` is never started: what it holds is half written, or has failed. The other goes first."""
    state = replace(state, a_left=0, a_good=False) if slot == "A" else replace(state, b_left=0, b_good=False)
    return replace(state, order=ORDERS[SLOTS.index(other(slot))])


def put_first(state: BootState, slot: str) -> BootState:
    """`state` in which `slot` is started next, with three tries; whether it is good is to be seen."""
    state = replace(state, a_left=TRIES) if slot == "A" else replace(state, b_left=TRIES)
    return replace(state, order=ORDERS[SLOTS.index(slot)], unclean=0)


def read_words(text: str) -> dict[str, str]:
    """The `sky.` words of a kernel command line, without that prefix."""
    words = dict(word.split("=", 1) for word in text.split() if "=" in word)
    return {name.removeprefix("sky."): value for name, value in words.items() if name.startswith("sky.")}


def read_slot(text: str) -> str:
    """`sky.slot` of a kernel command line; empty when there is none."""
    return read_words(text).get("slot", "")
