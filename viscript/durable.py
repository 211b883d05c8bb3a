"""Writes that outlive a power cut: a file is whole under its name or as it was, and its folder knows it on the disk.

Every package writes by these; it is the one module that all of them share.
"""

import contextlib
import os
import shutil
from pathlib import Path


def write_whole(
    path: Path, data: bytes, mode: int | None = None, owner: str | None = None, *, durable: bool = True
) -> None:
    """Beside its place, as `.NAME.new`, then renamed; a link that lies there is not followed. Without `mode` it is as
    the process makes files, without `owner` (and a group of that name) the process's. `durable`: on the disk when this
    returns. Raises OSError, LookupError; then no draft stays.
    """
    make_folder(path.parent, 0o755)
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
            if durable:
                file.flush()
                os.fsync(file.fileno())
        draft.replace(path)
        if durable:
            sync_folder(path.parent)
    except (OSError, LookupError):
        with contextlib.suppress(OSError):
            draft.unlink()
        raise


def make_folder(folder: Path, mode: int) -> None:
    """With those above it, each known on the disk; one that is there stays as it is. Raises OSError."""
    if folder.is_dir():
        return
    make_folder(folder.parent, mode)
    folder.mkdir(mode=mode, exist_ok=True)
    sync_folder(folder.parent)


def sync_folder(folder: Path) -> None:
    """What was made, renamed or removed in it is on the disk. Raises OSError."""
    file = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(file)
    finally:
        os.close(file)
