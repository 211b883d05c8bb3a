"""A second slot that holds nothing good becomes a copy of the running one: that of a fresh card, of an update that was
taken back, of a card on which a block went bad. So there is a slot to fall to at any time.

Nothing else may be under way: each chunk is written under the boot state's lock, as long as that and the notes of
updates are as they were. An installation notes its trial and marks the slot bad before it writes, so it goes first.
"""

import hashlib
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from skywire_board.bootstate.card import alone, change_state, read_state
from skywire_board.bootstate.codec import BootState, mark_good, other
from skywire_board.errors import UpdateError
from skywire_board.update.notes import Notes
from skywire_board.update.trial import CHUNK, Places

log = logging.getLogger("skywire_board.update")

BLOCK, HASHES = 4096, 128
"""Of dm-verity's tree, which ends a slot: 128 SHA-256 sums in a block of 4 KiB."""


class _StoppedError(UpdateError):
    """Something else began."""


def fill_second_slot(notes: Notes, places: Places) -> str:
    """What was done, in a line. UpdateError where the card gives back something else than was written: it is not tried
    again by this version.
    """
    words = places.words()
    slot, state = words["slot"], read_state(places.card).state
    why = _why_not(slot, state, notes)
    if why or state is None:
        return f"the other slot is left as it is: {why}"
    away = other(slot)
    size = slot_bytes(words)
    log.info("slot %s becomes a copy of slot %s (%d MB)", away, slot, size // 1_000_000)
    try:
        digest = _copy(places, notes, state, slot, size)
        if _sum(places.device(away), size) != digest:
            notes.write_worn(away)
            raise UpdateError(f"slot {away} reads differently from what was written (is the card worn out?)")
        _finish(places, notes, state, away)
    except _StoppedError as stopped:
        return f"the other slot is not filled now: {stopped}"
    except OSError as error:
        raise UpdateError(f"slot {slot} cannot be copied to slot {away}: {error.strerror}") from error
    return f"slot {away} is a copy of slot {slot}, and good"


def slot_bytes(words: dict[str, str]) -> int:
    """A slot from its script to the end of its hash tree, by the kernel's `sky.` words. UpdateError without them."""
    try:
        level, end = int(words["blocks"]), int(words["tree"])
    except (KeyError, ValueError):
        raise UpdateError("the kernel command line does not say how long this slot is") from None
    while level > 1:
        level = -(-level // HASHES)
        end += level
    return end * BLOCK


def _why_not(slot: str, state: BootState | None, notes: Notes) -> str:
    """Empty where the other slot is to be filled."""
    if state is None or not state.good(slot):
        return f"slot {slot} was not marked good yet"
    if state.good(other(slot)):
        return "it is good"
    if state.order[0] != slot or notes.trial() is not None:
        return "an update is on its way"
    if notes.worn() == other(slot):
        return "it did not give back what was written (is the card worn out?)"
    return ""


@contextmanager
def _undisturbed(places: Places, notes: Notes, before: BootState) -> Iterator[None]:
    """Nobody changes the boot state meanwhile, and nobody has. Raises _StoppedError."""
    with alone(places.card):
        if read_state(places.card).state != before or notes.trial() is not None:
            raise _StoppedError("an update began")
        yield


def _copy(places: Places, notes: Notes, before: BootState, slot: str, size: int) -> str:
    digest, left = hashlib.sha256(), size
    with places.device(slot).open("rb", buffering=0) as source, _opened(places.device(other(slot))) as target:
        while left:
            chunk = source.read(min(CHUNK, left))
            if not chunk:
                raise UpdateError(f"slot {slot} ends {left} bytes early")
            with _undisturbed(places, notes, before):
                _write_all(target, chunk)
                os.fsync(target)
            digest.update(chunk)
            left -= len(chunk)
        os.posix_fadvise(target, 0, 0, os.POSIX_FADV_DONTNEED)  # what is read back comes from the card
    return digest.hexdigest()


@contextmanager
def _opened(device: Path) -> Iterator[int]:
    fd = os.open(device, os.O_WRONLY | os.O_CLOEXEC)
    try:
        yield fd
    finally:
        os.close(fd)


def _write_all(fd: int, data: bytes) -> None:
    while data:
        data = data[os.write(fd, data) :]


def _sum(device: Path, size: int) -> str:
    digest = hashlib.sha256()
    with device.open("rb", buffering=0) as file:
        while size and (chunk := file.read(min(CHUNK, size))):
            digest.update(chunk)
            size -= len(chunk)
    return digest.hexdigest()


def _finish(places: Places, notes: Notes, before: BootState, away: str) -> None:
    def good(state: BootState) -> BootState:
        if state != before or notes.trial() is not None:
            raise _StoppedError("an update began")
        return mark_good(state, away)

    change_state(places.card, good)
