"""Writes that outlive a power cut: a file is whole under its name or not there, and its folder knows it on the card."""

import contextlib
import os
import shutil
from pathlib import Path


def write_durably(path: Path, data: bytes, mode: int | None = None, owner: str | None = None) -> None:
    """Beside its place, flushed, then renamed; a link that lies there is not followed. Without `mode` it is as the
    process makes files, without `owner` (and a group of that name) the process's. Raises OSError, LookupError; then no
    draft stays.
    """
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.new")
    draft.unlink(missing_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        with os.fdopen(os.open(draft, flags, 0o666 if mode is None else 0o600), "wb") as file:
            file.write(data)
            if owner is not None:
                shutil.chown(file.fileno(), owner, owner)
            if mode is not None:
                os.fchmod(file.fileno(), mode)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
        sync_folder(path.parent)
    except (OSError, LookupError):
        with contextlib.suppress(OSError):
            draft.unlink()
        raise


def sync_folder(folder: Path) -> None:
    """What was made, renamed or removed in it is on the card. Raises OSError."""
    file = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(file)
    finally:
        os.close(file)
