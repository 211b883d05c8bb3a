"""What the node keeps in a folder: words as JSON, one file each, whole or not there at all.

In RAM it is what a restarted process needs to find its kernel facts again; on the card, what must outlive a reboot.
A file that cannot be understood is told and passed over: what it held is ordered or learned anew.
"""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import TypeVar

import msgspec

from services.node.errors import KeptError
from viscript.durable import write_whole

T = TypeVar("T")

log = logging.getLogger(__name__)

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,180}")


class Kept:
    def __init__(self, folder: Path, *, durable: bool = False, named_in: str = "node.yaml") -> None:
        """`durable` syncs each file to the disk. The folder is made, for its owner alone. Raises KeptError."""
        self._folder, self._durable = folder, durable
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            for half in folder.glob(".*.new"):
                half.unlink()
        except OSError as error:
            raise KeptError(f"cannot use folder '{folder}': {error.strerror} (name another in {named_in})") from error

    def read(self, name: str, kind: type[T]) -> T | None:
        """None where there is nothing, or nothing of use."""
        path = self._path(name)
        try:
            return msgspec.json.decode(path.read_bytes(), type=kind)
        except FileNotFoundError:
            return None
        except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
            log.warning("'%s' is passed over: %s", path, error)
            return None

    def write(self, name: str, value: object) -> None:
        """Raises KeptError; then what was there before is still there."""
        path = self._path(name)
        try:
            write_whole(path, msgspec.json.encode(value), 0o600, durable=self._durable)
        except OSError as error:
            raise KeptError(f"cannot write '{path}': {error.strerror}") from error

    def remove(self, name: str) -> None:
        """It is no error that there is none."""
        try:
            self._path(name).unlink(missing_ok=True)
        except OSError as error:
            raise KeptError(f"cannot remove '{self._path(name)}': {error.strerror}") from error

    def names(self, prefix: str = "") -> list[str]:
        found = (path.name.removesuffix(".json") for path in self._folder.glob("[!.]*.json"))
        return sorted(name for name in found if name.startswith(prefix))

    def _path(self, name: str) -> Path:
        if not _NAME.fullmatch(name):
            raise KeptError(f"{name[:80]!a} is no name of a file here")
        return self._folder / f"{name}.json"
