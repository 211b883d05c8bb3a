"""The door to what updates write down: whole files, flushed before their names change; a damaged one counts as none."""

import os
from pathlib import Path
from typing import TypeVar

import msgspec

from skywire_board.update.model import BootNote, Last, Trial

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
        path = self.folder / "trial.json"
        if trial is not None:
            _write(path, trial)
        elif path.exists():
            path.unlink()
            _sync(path.parent)

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
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.new")
    with draft.open("wb") as file:
        os.fchmod(file.fileno(), mode)
        file.write(msgspec.json.encode(word) + b"\n")
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    _sync(path.parent)


def _sync(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
