"""What the board does about an act of the button, or about somebody who asks for the same on its socket. Pure."""

from dataclasses import replace

from skywire_board.model import Act, Effect, PowerOff, Report, StartUnit, TellAct, Unit
from skywire_board.state import State

IDENTIFY_S = 10.0
RESETTING_MOST_S = 180.0  # the board restarts long before; if it does not, the light says again how things are

TEXTS = {
    Act.SHORT: "button: short press, identifying",
    Act.DOUBLE: "button: double press, powering off",
    Act.PAIR: "button: held for 3 s, pairing",
    Act.RESET: "button: held for 10 s, resetting to factory state",
    Act.CALLED_OFF: "button: let go in the countdown, nothing is done",
}


def carry(state: State, act: Act) -> tuple[State, list[Effect]]:
    """The new state and what to do. A board that goes down, or is being reset, takes no orders."""
    if state.shutting_down or state.now_s < state.resetting_until_s:
        return state, []
    told: list[Effect] = [TellAct(act, state.followers)] if state.followers else []
    if act is Act.SHORT and _is_awaited(state):
        return state, [Report("button: short press, for the pairing"), *told]
    told = [Report(TEXTS[act]), *told]
    match act:
        case Act.SHORT:
            state = replace(state, identify_until_s=state.now_s + IDENTIFY_S)
            told += [] if state.claimed else [StartUnit(Unit.CLAIM)]
        case Act.DOUBLE:
            state = replace(state, shutting_down=True, shutting_down_since_s=state.now_s)
            told.append(PowerOff())
        case Act.PAIR:
            told.append(StartUnit(Unit.PAIRING))
        case Act.RESET:
            state = replace(state, resetting_until_s=state.now_s + RESETTING_MOST_S)
            told.append(StartUnit(Unit.FACTORY_RESET))
    return state, told


def _is_awaited(state: State) -> bool:
    """Whether somebody who pairs waits for the short press."""
    return any(saying.state == "pairing" and saying.line in state.followers for saying in state.sayings)
