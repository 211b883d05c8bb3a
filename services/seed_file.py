"""The file that holds a seed: 32 raw bytes, mode 0600, made once and never overwritten.

`create` fills a file of another name, syncs it, links it into place (a link, unlike a rename, fails where something is)
and syncs the folder: after a power cut there is a whole seed or none. `read` refuses what others could have read or
put there, and says what mends it. What the bytes mean is not known here.
"""

from __future__ import annotations

import errno
import os
import secrets
import shlex
import stat
from pathlib import Path

from services.errors import SeedFileError
from services.secrecy import SECRET_BYTES, Secret
from viscript.durable import make_folder, sync_folder

BOARD_FOLDER = Path("/data/identity")


def usual_place() -> Path:
    """On a board its data partition, elsewhere the user's own data."""
    if BOARD_FOLDER.is_dir():
        return BOARD_FOLDER / "seed"
    base = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(base, "skywire", "identity", "seed")


def create(path: Path, seed: Secret) -> None:
    """Raises SeedFileError; then whatever was at `path` is as it was."""
    try:
        make_folder(path.parent, 0o700)
        _check_folder(path.parent)
        _write(path, seed)
    except OSError as error:
        raise SeedFileError(
            f"cannot write seed '{path}': {error.strerror} (name another place: --file PATH)"
        ) from error


def read(path: Path) -> Secret:
    """Raises SeedFileError, which names the command that mends it where there is one."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except FileNotFoundError:
        raise SeedFileError(
            f"no seed at '{path}' (make one: node identity new; from 24 words: node identity import)"
        ) from None
    except OSError as error:
        hint = "it is a symbolic link" if error.errno == errno.ELOOP else error.strerror
        raise SeedFileError(f"cannot read seed '{path}': {hint} (name the file itself, run as its owner)") from None
    try:
        _check_folder(path.parent)
        _check_file(path, os.fstat(file))
        return _take(path, file)
    except OSError as error:
        raise SeedFileError(f"cannot read seed '{path}': {error.strerror}") from error
    finally:
        os.close(file)


def _write(path: Path, seed: Secret) -> None:
    filled = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    file = os.open(filled, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        try:
            os.fchmod(file, 0o600)  # a umask may have taken from it
            if os.write(file, seed.reveal()) != SECRET_BYTES:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.fsync(file)
        finally:
            os.close(file)
        os.link(filled, path, follow_symlinks=False)
    except FileExistsError:
        raise SeedFileError(
            f"'{path}' exists, and a seed is never overwritten (move it away first, or name another: --file PATH)"
        ) from None
    finally:
        filled.unlink()
    sync_folder(path.parent)


def _check_folder(folder: Path) -> None:
    """Who may write to it can put another seed in the place of this one."""
    status = folder.stat()
    if status.st_uid not in {0, os.geteuid()}:
        raise SeedFileError(f"cannot keep a seed in '{folder}': it belongs to {_owned(status, folder)}")
    if status.st_mode & 0o022 and not status.st_mode & stat.S_ISVTX:
        raise SeedFileError(
            f"cannot keep a seed in '{folder}': others can write to it (run: chmod go-w {_quoted(folder)})"
        )


def _check_file(path: Path, status: os.stat_result) -> None:
    wrong = f"cannot read seed '{path}': "
    if not stat.S_ISREG(status.st_mode):
        raise SeedFileError(f"{wrong}it is not a plain file (name another: --file PATH)")
    if status.st_uid != os.geteuid():
        raise SeedFileError(f"{wrong}it belongs to {_owned(status, path)}")
    if status.st_mode & 0o077:
        raise SeedFileError(f"{wrong}others can read it (run: chmod 600 {_quoted(path)})")
    if status.st_size != SECRET_BYTES:
        raise SeedFileError(
            f"{wrong}it has {status.st_size} bytes, expected {SECRET_BYTES} "
            "(move it away and run: node identity import, with its 24 words)"
        )


def _take(path: Path, file: int) -> Secret:
    buffer = bytearray(SECRET_BYTES)
    with memoryview(buffer) as view:
        count = os.readv(file, [view])
    try:
        if count != SECRET_BYTES or not any(buffer):
            raise SeedFileError(
                f"cannot read seed '{path}': it is empty or all zeros, as after a broken disk "
                "(move it away and run: node identity import, with its 24 words)"
            )
        return Secret(buffer)
    finally:
        buffer[:] = bytes(len(buffer))


def _owned(status: os.stat_result, path: Path) -> str:
    me = os.geteuid()
    return f"user {status.st_uid}, and this is user {me} (run it as that user, or: chown {me} {_quoted(path)})"


def _quoted(path: Path) -> str:
    return shlex.quote(str(path))
