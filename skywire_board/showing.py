"""What the light shows of a state. Pure; the order of the tables here is the order of urgency."""

import math
from collections.abc import Callable

from skywire_board.model import Act, Pattern, Severity, Show, Trouble
from skywire_board.presses import hold_of, press_wake_s
from skywire_board.state import State, Verdict

BOOT_PATIENCE_S = 180.0  # so long may the first answer take before the light says degraded
ABOVE_CLAIM = (Pattern.ROLLED_BACK, Pattern.POWER_OR_HEAT, Pattern.DEGRADED)
BELOW_CLAIM = (Pattern.NO_TIME,)


def show_of(state: State) -> Show:
    """The one pattern for `state`: the most urgent that applies."""
    return next(show for look in _LOOKS if (show := look(state)) is not None)


def show_wake_s(state: State) -> list[float]:
    """The moments at which time alone changes what is shown; some may have passed."""
    moments = [state.identify_until_s, state.started_s + BOOT_PATIENCE_S, press_wake_s(state.button, state.now_s)]
    moments += [state.resetting_until_s, state.flash.until_s if state.flash else math.inf]
    return moments + [noticed.since_s + noticed.trouble.visible_after_s for noticed in state.troubles]


def visible_troubles(state: State) -> list[Trouble]:
    """The troubles that have lasted long enough and are not explained by another one."""
    codes = {noticed.trouble.code for noticed in state.troubles}
    return [
        noticed.trouble
        for noticed in state.troubles
        if state.now_s >= noticed.since_s + noticed.trouble.visible_after_s and noticed.trouble.depends_on not in codes
    ]


def mesh_of(state: State) -> str:
    """Online, joining, degraded, or unknown."""
    if state.mesh is None:
        return "unknown"
    if state.mesh.works:
        return "online"
    return "degraded" if state.mesh_worked else "joining"


def _going_down(state: State) -> Show | None:
    return Show(Pattern.SHUTTING_DOWN) if state.shutting_down else None


def _resetting(state: State) -> Show | None:
    said = _says(state, "resetting")
    return Show(Pattern.RESETTING) if said or state.now_s < state.resetting_until_s else None


def _held(state: State) -> Show | None:
    hold = hold_of(state.button, state.now_s)
    if hold is None:
        return None
    return Show(Pattern.PAIRING) if hold.act is Act.PAIR else Show(Pattern.COUNTDOWN, hold.left_s)


def _flash(state: State) -> Show | None:
    return Show(state.flash.pattern) if state.flash and state.now_s < state.flash.until_s else None


def _identify(state: State) -> Show | None:
    return Show(Pattern.IDENTIFY) if state.now_s < state.identify_until_s else None


def _pairing(state: State) -> Show | None:
    saying = next((saying for saying in state.sayings if saying.state == "pairing"), None)
    return Show(Pattern.PAIRING, code=saying.code) if saying else None


def _updating(state: State) -> Show | None:
    on_trial = state.booted and state.trial.verdict is Verdict.OPEN
    return Show(Pattern.UPDATING) if on_trial or _says(state, "updating") else None


def _booting(state: State) -> Show | None:
    patient = state.now_s < state.started_s + BOOT_PATIENCE_S
    return Show(Pattern.BOOTING) if not state.booted and patient else None


def _trial_failed(state: State) -> Show | None:
    return Show(Pattern.ROLLED_BACK) if state.trial.verdict is Verdict.FAILED else None


def _fault(state: State) -> Show | None:
    codes = [trouble.blinks for trouble in visible_troubles(state) if trouble.severity is Severity.FAULT]
    codes += [saying.blinks for saying in state.sayings if saying.state == "fault"]
    return Show(Pattern.FAULT, min(codes)) if codes else None


def _warned(patterns: tuple[Pattern, ...]) -> Callable[[State], Show | None]:
    def look(state: State) -> Show | None:
        shown = {trouble.pattern for trouble in visible_troubles(state) if trouble.severity is Severity.WARN}
        found = next((pattern for pattern in patterns if pattern in shown), None)
        return Show(found) if found else None

    return look


def _unclaimed(state: State) -> Show | None:
    return Show(Pattern.UNCLAIMED) if state.booted and state.claimed is False else None


def _joining(state: State) -> Show | None:
    """While the mesh was not there yet. One that goes away again is a trouble, after a while."""
    not_yet = mesh_of(state) in ("unknown", "joining") or _says(state, "joining")
    return Show(Pattern.JOINING) if state.booted and not_yet else None


def _at_last(state: State) -> Show:
    return Show(Pattern.ONLINE if state.booted else Pattern.BOOTING)


def _says(state: State, word: str) -> bool:
    return any(saying.state == word for saying in state.sayings)


_LOOKS: tuple[Callable[[State], Show | None], ...] = (
    _going_down,
    _resetting,
    _held,
    _flash,
    _identify,
    _pairing,
    _trial_failed,
    _updating,
    _booting,
    _fault,
    _warned(ABOVE_CLAIM),
    _unclaimed,
    _warned(BELOW_CLAIM),
    _joining,
    _at_last,
)
