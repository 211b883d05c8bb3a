"""Faults that the early set-up leaves as a file with the reason: no data partition, a wrong skywire.yaml."""

from pathlib import Path

from skywire_board.model import Severity, Trouble
from skywire_board.patterns import cause_of

DATA_FAULT = Path("/run/skywire/data-fault")
SETUP_FAULT = Path("/run/skywire/setup-fault")


def check_data(path: Path = DATA_FAULT) -> Trouble | None:
    """None when the file is absent; else the trouble with the first line of the file."""
    why = _reason(path)
    return _fault("data-fault", f"running in RAM, nothing is kept: {why}") if why else None


def check_setup(path: Path = SETUP_FAULT) -> Trouble | None:
    """None when the file is absent; else the trouble with the first line of the file."""
    why = _reason(path)
    return _fault("setup-fault", f"the settings before hold: {why}") if why else None


def _reason(path: Path) -> str:
    try:
        return path.read_text(errors="replace").strip().partition("\n")[0] or "no reason given"
    except FileNotFoundError:
        return ""
    except OSError as error:
        return str(error)


def _fault(code: str, text: str) -> Trouble:
    cause = cause_of(code)
    return Trouble(code, cause.title, Severity.FAULT, text, blinks=cause.blinks)
