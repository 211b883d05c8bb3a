"""The door to what updates write down: whole files, flushed before their names change; a damaged one counts as none."""

from pathlib import Path
from typing import TypeVar

import msgspec

from skywire_board.update.model import BootNote, Last, Trial, Worn
from viscript.durable import sync_folder, write_whole

FOLDER = Path("/data/update")
BOOT_NOTE = Path("/run/skywire/boot.json")
VERSION = Path("/usr/lib/skywire/version")

T = TypeVar("T", bound=msgspec.Struct)


class Notes:
    """The notes in a folder of the data partition, and the one for others in `boot_note`."""

    def __init__(self, folder: Path = FOLDER, boot_note: Path = BOOT_NOTE, version: Path = VERSION) -> None:
        self.folder, self._boot_note, self._version = folder, boot_note, version

    def trial(self) -> Trial | None:
        return _read(self.folder / "trial.json", Trial)

    def last(self) -> Last:
        return _read(self.folder / "last.json", Last) or Last()

    def worn(self) -> str:
        """The slot that did not give back what was written to it; empty where there is none."""
        worn = _read(self.folder / "worn.json", Worn)
        return worn.slot if worn is not None else ""

    def boot(self) -> BootNote | None:
        """None before it was written."""
        return _read(self._boot_note, BootNote)

    def version(self) -> str:
        """The version of the running slot; empty on a machine that is no board."""
        try:
            return self._version.read_text().strip()
        except OSError:
            return ""

    def write_trial(self, trial: Trial | None) -> None:
        self._put("trial.json", trial)

    def write_worn(self, slot: str) -> None:
        """Of the one that `worn` tells; empty: of none."""
        self._put("worn.json", Worn(slot) if slot else None)

    def _put(self, name: str, word: msgspec.Struct | None) -> None:
        path = self.folder / name
        if word is not None:
            _write(path, word)
        elif path.exists():
            path.unlink()
            sync_folder(path.parent)

    def write_last(self, last: Last) -> None:
        _write(self.folder / "last.json", last)

    def write_boot(self, note: BootNote) -> None:
        """For anybody to read; in RAM."""
        _write(self._boot_note, note, mode=0o644)


def _read(path: Path, kind: type[T]) -> T | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except (OSError, msgspec.DecodeError):
        return None


def _write(path: Path, word: msgspec.Struct, mode: int = 0o600) -> None:
    write_whole(path, msgspec.json.encode(word) + b"\n", mode)
