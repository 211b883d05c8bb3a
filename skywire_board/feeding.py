"""Whether the hardware watchdog is fed. Pure. Not fed, it resets the board, however the rest of the system is.

The loop that asks is itself a condition: when it hangs nobody feeds. Beyond that: no check hangs, viscript is not dead
for good, and a shutdown and a roll-back come to their ends.
"""

from skywire_board.state import State, Verdict
from skywire_board.trial import TRIAL_S

SILENT_S = 900.0  # so long may viscript not answer, through all its restarts
SHUTDOWN_S = 300.0
HUNG_S = 120.0  # each check has a deadline of its own, far below


def why_starve(state: State, now_s: float) -> str:
    """Why the watchdog is not to be fed; empty as long as it is."""
    if now_s >= state.shutting_down_since_s + SHUTDOWN_S:
        return f"the shutdown does not end ({SHUTDOWN_S:.0f} s)"
    if state.shutting_down:
        return ""
    if state.trial.verdict is Verdict.FAILED and now_s >= TRIAL_S + SHUTDOWN_S:
        return f"the update failed its trial, and was not rolled back within {SHUTDOWN_S:.0f} s"
    if now_s >= state.silent_since_s + SILENT_S:
        return f"viscript has not answered for {SILENT_S:.0f} s, in spite of restarts"
    hung = [check.name for check in state.checks if check.running and now_s >= check.due_s + HUNG_S]
    return f"the check '{hung[0]}' hangs" if hung else ""
