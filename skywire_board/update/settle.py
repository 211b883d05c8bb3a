"""What a boot means for updates, pure: which slot runs, whether it is on trial, whether the board fell back, and why.

The boot loader chooses without telling much: its order of slots, the tries that are left, and perhaps a word. What was
on trial is told by the note of the installation. Together they say what happened:

    the note is of the running slot                      a trial
    ... of the other, which is first and has no tries    it did not start
    ... of the other, and the boot loader says unclean   it started, and did not stay up
    ... of the other, which is not first                 its installation was cut, or it was taken back: no trial
    there is none, and the slot was never good           a trial that cannot be passed: /data is lost to this slot
"""

from dataclasses import dataclass, replace

from skywire_board.bootstate.codec import ORDERS, SLOTS, BootState, is_untried, mark_bad, mark_good, other
from skywire_board.update.model import BootNote, Last, Trial


@dataclass(frozen=True, slots=True)
class Seen:
    """A boot as it was found: `why` is the boot loader's word for it, `version` that of the running slot."""

    slot: str
    why: str
    version: str
    state: BootState
    trial: Trial | None
    last: Last


@dataclass(frozen=True, slots=True)
class Settled:
    """What is to be true from now on. A state, note or last word that differs from what was seen is to be written."""

    note: BootNote
    state: BootState
    trial: Trial | None
    last: Last


def settle(seen: Seen, now: float) -> Settled:
    """What to make of a boot."""
    away = other(seen.slot)
    trial = seen.trial if seen.trial and seen.trial.slot == seen.slot and not seen.state.good(seen.slot) else None
    why = why_fallen(seen)
    state, last = seen.state, seen.last
    if why:
        what = f"version {seen.trial.version} in slot {away}" if seen.trial and not trial else f"slot {away}"
        text = f"{what} {why}; slot {seen.slot} runs instead"
        state, last = _fall(state, seen.slot, seen.why), Last(text, text, now)
    elif seen.trial and seen.trial.slot == away and not last.rolled_back:
        cut = f"the installation of version {seen.trial.version} was cut; slot {seen.slot} is untouched"
        back = f"version {seen.trial.version} in slot {away} was taken back"  # and the reason could not be noted
        last = Last(back, back, now) if last.text else Last(cut, "", now)
    note = BootNote(
        slot=seen.slot,
        other=away,
        trial=trial is not None or is_untried(seen.state, seen.slot),
        mesh_before=trial is not None and trial.mesh_before,
        good=False,
        rolled_back=last.rolled_back,
        version=seen.version,
    )
    return Settled(note, state, trial, last)


def why_fallen(seen: Seen) -> str:
    """Why the other slot does not run although it came first; empty when it did not come first."""
    away = other(seen.slot)
    if seen.why == "unclean" and seen.state.left(away):
        return "did not stay up: three boots in a row ended within ten minutes and not in order"
    if seen.why == "unclean" or (seen.state.order[0] == away and not seen.state.left(away)):
        return "did not come up: all its tries were used"
    return ""


def _fall(state: BootState, slot: str, why: str) -> BootState:
    """The running slot goes first from now on. One that did not stay up may be tried again when this one fails too, one
    that did not come up may not.
    """
    away = other(slot)
    if why != "unclean":
        return mark_bad(state, away)
    if state.good(away):
        state = mark_good(state, away)
    return replace(state, order=ORDERS[SLOTS.index(slot)])


def is_older(offered: str, running: str) -> bool:
    """Whether version `offered` is below `running`. What stands behind a plus tells no order."""
    return _numbers(offered) < _numbers(running)


def _numbers(version: str) -> tuple[int, ...]:
    words = version.partition("+")[0].split(".")
    return tuple(int(word) if word.isdigit() else 0 for word in words)
