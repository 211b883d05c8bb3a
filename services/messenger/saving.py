"""Writes a file that has come to a place of the asker's: whole or not at all, and over nothing."""

from __future__ import annotations

import os
import secrets
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO

from services.errors import shown
from services.messenger.api_words import FetchFile, FileState
from services.messenger.errors import MessengerError
from services.messenger.line import Line
from viscript.durable import sync_folder


def save(file: str, target: Path, socket: Path | None = None) -> Path:
    """`target`: a new file, or a folder, where it gets the name that its sender gave it. Raises MessengerError."""
    with ExitStack() as stack:
        line = stack.enter_context(Line(socket))
        places = list[tuple[Path, Path, BinaryIO]]()

        def begin(state: FileState) -> BinaryIO:
            place = _place(target, state.name)
            draft = place.with_name(f".{place.name}.{secrets.token_hex(4)}")
            descriptor = os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644)
            stack.callback(draft.unlink, missing_ok=True)
            opened = stack.enter_context(os.fdopen(descriptor, "wb"))
            places.append((draft, place, opened))
            return opened

        try:
            line.fetch_file(FetchFile(file), begin)
            draft, place, opened = places[0]
            opened.flush()
            os.fsync(opened.fileno())
            os.link(draft, place)  # unlike a rename it fails where something has come to be there
            sync_folder(place.parent)
        except FileExistsError:
            raise MessengerError(f"{shown(str(places[0][1]))} is there already: name another place") from None
        except OSError as error:
            raise MessengerError(f"cannot write to {shown(str(target))}: {error.strerror or error}") from None
        return place


def _place(target: Path, name: str) -> Path:
    """Raises MessengerError for a name that is none of a file."""
    if not target.is_dir():
        place = target
    else:
        if not name or name in {".", ".."} or "/" in name or "\0" in name:
            raise MessengerError(f"{shown(name)} cannot be a file's name: name the place yourself")
        place = target / name
    if place.exists():
        raise MessengerError(f"{shown(str(place))} is there already: name another place")
    return place
