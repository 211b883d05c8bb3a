"""How viscript is kept alive: a hung one is restarted after some failures, a dead one is systemd's. Pure."""

from dataclasses import replace

from skywire_board.checking import VISCRIPT
from skywire_board.model import CheckFailed, Effect, RestartViscript
from skywire_board.state import Keeping, State

HUNG = "viscript-hung"  # it takes the question and does not answer
TROUBLED = "viscript-troubled"  # it answers that something is wrong, such as a typo in its config.yaml

START_GRACE_S = 170.0  # so long may a start of viscript take before it counts as failed
RETRY_START_S = 10.0  # when systemctl itself failed
FAILURES_TO_RESTART = 3
BACKOFF_FIRST_S = 10.0
BACKOFF_MOST_S = 300.0


def keep_viscript(state: State, event: CheckFailed) -> tuple[State, list[Effect]]:
    """A restart, where patience is at an end; each waits longer than the one before."""
    kept, at_s = state.keeping, event.at_s
    if kept.answered and event.trouble.code != HUNG:
        kept = replace(kept, answered=False, grace_until_s=at_s + START_GRACE_S)
    failed = next(check.failed for check in state.checks if check.name == VISCRIPT)
    patient = not kept.answered and at_s < kept.grace_until_s
    if failed < FAILURES_TO_RESTART or patient or at_s < kept.not_before_s:
        return replace(state, keeping=kept), []
    backoff_s = min(BACKOFF_FIRST_S * 2**kept.restarts, BACKOFF_MOST_S)
    kept = Keeping(grace_until_s=at_s + START_GRACE_S, not_before_s=at_s + backoff_s, restarts=kept.restarts + 1)
    return replace(state, keeping=kept), [RestartViscript(event.trouble.text)]
