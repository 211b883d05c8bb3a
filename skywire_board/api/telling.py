"""The state as an answer on the board's socket. Pure."""

from skywire_board.api_words import Status, TroubleRow
from skywire_board.model import Boot, Pattern, Show
from skywire_board.patterns import PROGRAMS
from skywire_board.showing import mesh_of, visible_troubles
from skywire_board.state import State

SAID_AS = {"pairing": Pattern.PAIRING, "updating": Pattern.UPDATING, "fault": Pattern.FAULT}


def status_of(state: State, board: str, watchdog: str) -> Status:
    """What `status` answers now. A trouble is told from its beginning, also while the light still bears with it."""
    show, boot = state.shown or Show(Pattern.BOOTING), state.boot or Boot()
    return Status(
        pattern=show.pattern.value,
        text=_text(state, show),
        blinks=show.blinks,
        since_s=round(state.now_s - state.shown_since_s, 1),
        claimed=bool(state.claimed),
        slot=boot.slot,
        trial=boot.trial,
        rolled_back=boot.rolled_back,
        troubles=tuple(
            TroubleRow(trouble.code, trouble.title, trouble.severity.value, trouble.text, trouble.blinks)
            for trouble in (noticed.trouble for noticed in state.troubles)
        ),
        board=board,
        mesh=mesh_of(state),
        verdict=state.trial.verdict.value,
        said={saying.source: f"{saying.state} {saying.text}".strip() for saying in state.sayings},
        watchdog=watchdog,
    )


def _text(state: State, show: Show) -> str:
    """What explains the pattern best: who says so, or the trouble behind it, or the table."""
    for saying in state.sayings:
        if SAID_AS.get(saying.state) is show.pattern and saying.text:
            return saying.text
    for trouble in visible_troubles(state):
        if show.pattern is Pattern.FAULT and trouble.blinks == show.blinks:
            return f"{trouble.title}: {trouble.text}"
        if show.pattern is trouble.pattern and not trouble.blinks:
            return f"{trouble.title}: {trouble.text}"
    if show.pattern in (Pattern.ONLINE, Pattern.JOINING) and state.mesh is not None and state.mesh.text:
        return state.mesh.text
    return PROGRAMS[show.pattern].text
