"""Is the data partition there and sound? The early set-up says so by leaving a file with the reason."""

from pathlib import Path

from skywire_board.model import Severity, Trouble

FAULT_FILE = Path("/run/skywire/data-fault")
BLINKS = 3


async def check_data(path: Path = FAULT_FILE) -> Trouble | None:
    """None when the file is absent; else the trouble with the first line of the file."""
    try:
        why = path.read_text(errors="replace").strip().partition("\n")[0]  # noqa: ASYNC240  # short, in RAM
    except FileNotFoundError:
        return None
    except OSError as error:
        why = str(error)
    text = f"running in RAM, nothing is kept: {why or 'no reason given'}"
    return Trouble("data-fault", "no data partition", Severity.FAULT, text, blinks=BLINKS)
