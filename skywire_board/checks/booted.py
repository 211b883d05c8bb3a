"""Which slot runs, whether it is on trial, and whether the update before it was rolled back: a note of the boot."""

from pathlib import Path

import msgspec

from skywire_board.model import Boot, Finding, Pattern, Severity, Trouble

NOTE = Path("/run/skywire/boot.json")


class _Note(msgspec.Struct, frozen=True):
    slot: str
    trial: bool = False
    mesh_before: bool = False
    good: bool = False
    rolled_back: str = ""
    version: str = ""


def check_boot(path: Path = NOTE) -> Finding:
    """No fact as long as there is no note. One that makes no sense is a trouble, and no trial."""
    try:
        note = msgspec.json.decode(path.read_bytes(), type=_Note)
    except FileNotFoundError:
        return Finding()
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        return Finding(Trouble("boot-note", "the note of the boot makes no sense", Severity.NOTE, f"'{path}': {error}"))
    boot = Boot(note.slot, note.trial, note.mesh_before, note.rolled_back, note.version)
    if not note.rolled_back:
        return Finding(fact=boot)
    text = note.rolled_back
    return Finding(Trouble("rolled-back", "update rolled back", Severity.WARN, text, pattern=Pattern.ROLLED_BACK), boot)
