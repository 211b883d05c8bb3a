"""One boot, from the note of what runs to its verdict: note it, mark it good, or roll it back.

A slot is marked good for the first time only when all of it was read once from the card and is what the bundle said:
kernel, initramfs, device trees, root and hash tree in one sum.
"""

import contextlib
import hashlib
import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from skywire_board.bootstate.card import change_state, read_state
from skywire_board.bootstate.codec import BootState, is_untried, mark_bad, mark_good, read_words
from skywire_board.errors import UpdateError
from skywire_board.update.model import Last, Trial
from skywire_board.update.notes import Notes
from skywire_board.update.settle import Seen, settle

log = logging.getLogger("skywire_board.update")

CMDLINE = Path("/proc/cmdline")
CARD = Path("/run/skywire/card")
SLOTS = "/run/skywire/slot-"  # and its letter: the initramfs links them to the partitions
DAMAGE = Path("/run/skywire/slot-damage")  # what `pass_trial` found wrong, for the unit that takes the slot back
CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Places:
    """Where the facts of a boot are."""

    cmdline: Path = CMDLINE
    card: Path = CARD
    slots: str = SLOTS
    damage: Path = DAMAGE

    def words(self) -> dict[str, str]:
        """The kernel's `sky.` words; UpdateError when they name no slot."""
        words = read_words(self.cmdline.read_text())
        if words.get("slot") not in ("A", "B"):
            raise UpdateError(f"sky.slot of the kernel command line is '{words.get('slot', '')}', expected A or B")
        return words

    def device(self, slot: str) -> Path:
        return Path(f"{self.slots}{slot}")


def note_boot(notes: Notes, places: Places) -> str:
    """Settles what this boot is, and writes it down for others; says it in a line."""
    words = places.words()
    state = read_state(places.card).state or BootState()
    trial, last = notes.trial(), notes.last()
    seen = Seen(words["slot"], words.get("why", ""), notes.version(), state, trial, last)
    settled = settle(seen, time.time())
    notes.write_boot(settled.note)  # before all that can fail
    if settled.state != state:
        change_state(places.card, lambda _: settled.state)
    with _as_far_as_data_goes():
        if settled.last != last:
            notes.write_last(settled.last)
        if settled.trial != trial:
            notes.write_trial(settled.trial)
    kind = "on trial" if settled.note.trial else settled.last.rolled_back or "as before"
    return f"slot {settled.note.slot}, version {settled.note.version or 'unknown'}: {kind}"


def pass_trial(notes: Notes, places: Places) -> str:
    """Marks the running slot good; a slot on trial only after reading all of it. UpdateError when it is damaged."""
    slot, trial, note = places.words()["slot"], notes.trial(), notes.boot()
    if trial is None and _is_untried(places, slot):
        text = f"slot {slot} was never good, and the note of its trial is gone (does it see the data partition?)"
        places.damage.write_text(text)
        raise UpdateError(text)
    if trial is not None and trial.slot == slot:
        try:
            check_slot(trial, places.device(slot))
        except UpdateError as error:
            places.damage.write_text(str(error))
            raise
    state, written = change_state(places.card, lambda state: mark_good(state, slot))
    if trial is not None:
        with _as_far_as_data_goes():
            notes.write_last(Last(f"version {trial.version} in slot {slot} passed its trial", "", time.time()))
            notes.write_trial(None)
            notes.write_worn("")
    if note is not None:
        rolled_back = note.rolled_back if trial is None else ""
        notes.write_boot(msgspec.structs.replace(note, trial=False, good=True, rolled_back=rolled_back))
    return f"slot {slot} is good{'' if written else ' already'} (write {state.seq})"


def fail_trial(notes: Notes, places: Places, why: str) -> str:
    """Marks the slot on trial bad, so that the next boot is the other one; says why it was taken back."""
    slot, trial = places.words()["slot"], notes.trial()
    if trial is not None and trial.slot == slot:
        text = f"version {trial.version} in slot {slot} was taken back: {why}"
    elif _is_untried(places, slot):
        text = f"slot {slot} was taken back: {why}"
    else:
        raise UpdateError(f"slot {slot} is not on trial, so there is nothing to take back")
    change_state(places.card, lambda state: mark_bad(state, slot))
    with _as_far_as_data_goes():
        notes.write_last(Last(text, text, time.time()))
        notes.write_trial(None)
    return text


def mark_seen(notes: Notes) -> None:
    """What was rolled back shows no more; the last word about it stays. UpdateError when that cannot be kept."""
    last, note = notes.last(), notes.boot()
    try:
        if last.rolled_back:
            notes.write_last(msgspec.structs.replace(last, rolled_back=""))
        if note is not None and note.rolled_back:
            notes.write_boot(msgspec.structs.replace(note, rolled_back=""))
    except OSError as error:
        raise UpdateError(f"cannot note it on the data partition: {error.strerror} (see: status)") from error


def _is_untried(places: Places, slot: str) -> bool:
    state = read_state(places.card).state
    return state is not None and is_untried(state, slot)


@contextlib.contextmanager
def _as_far_as_data_goes() -> Iterator[None]:
    """A data partition that is full or read-only costs words; what the boot loader does is decided by then."""
    try:
        yield
    except OSError as error:
        log.warning("cannot note it on the data partition: %s", error)


def check_slot(trial: Trial, device: Path) -> None:
    """UpdateError when the card gives back something else than was installed."""
    digest, left = hashlib.sha256(), trial.size
    try:
        with device.open("rb", buffering=0) as file:
            while left and (chunk := file.read(min(CHUNK, left))):
                digest.update(chunk)
                left -= len(chunk)
    except OSError as error:
        raise UpdateError(f"slot {trial.slot} cannot be read from the card: {error.strerror}") from error
    if digest.hexdigest() != trial.digest:
        raise UpdateError(f"slot {trial.slot} reads differently from what was installed (is the card worn out?)")


def ask_why(places: Places) -> str:
    """What is wrong with this boot, for people: the slot itself, or what the supervisor finds."""
    from skywire_board.client import BoardAwayError, BoardLine, BoardRefusedError  # noqa: PLC0415  # on this path alone

    with contextlib.suppress(OSError):
        return places.damage.read_text()
    try:
        with BoardLine("update") as board:
            troubles = [trouble.text or trouble.title for trouble in board.status().troubles]
    except (BoardAwayError, BoardRefusedError):
        return "the supervisor did not answer"
    return "; ".join(troubles) or "the health checks did not pass in time"
