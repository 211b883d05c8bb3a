"""The door to the board's files: each is written whole beside its place, synced, renamed, and its folder synced.

`root` is `/` on a board, and a folder in tests.
"""

import contextlib
import hashlib
import shutil
from pathlib import Path

from skywire_board.errors import SetupError
from skywire_board.setup.plan import NAMES_FOLDER, File
from viscript.durable import sync_folder, write_whole

NAMES = ("hostname", "hosts", "localtime")
DEFAULT_NAMES, UTC = "/usr/lib/skywire/etc", "/usr/share/zoneinfo/Etc/UTC"
RUN_NAMES = "/run/skywire/etc"
KERNEL_NAME = "/proc/sys/kernel/hostname"


def under(root: Path, path: str) -> Path:
    return root / path.lstrip("/")


def write(root: Path, file: File) -> bool:
    """Whether the file differed from what was there. Owners need root."""
    path = under(root, file.path)
    try:
        if _holds(path, file):
            return False
        _make_folder(path.parent, file.owner)
        if file.is_link:
            _link(path, file.text)
        else:
            owner = None if file.owner == "root" else file.owner
            write_whole(path, file.text.encode(), file.mode, owner)
    except OSError as error:
        raise SetupError(f"cannot write '{file.path}': {error.strerror}") from error
    return True


def remove(root: Path, path: str, digest: str) -> None:
    """Removes what set-up wrote, if it is still what set-up wrote."""
    place = under(root, path)
    with contextlib.suppress(FileNotFoundError):
        text = str(place.readlink()) if place.is_symlink() else place.read_text()
        if hashlib.sha256(text.encode()).hexdigest() == digest:
            place.unlink()
            sync_folder(place.parent)


def lay_names(root: Path) -> str:
    """Host name, hosts and time zone where `/etc` points to, from the data partition or the defaults; the name."""
    folder = under(root, RUN_NAMES)
    folder.mkdir(parents=True, exist_ok=True)
    for name in NAMES:
        chosen, draft = under(root, f"{NAMES_FOLDER}/{name}"), folder / f".{name}.new"
        draft.unlink(missing_ok=True)
        if chosen.is_symlink() or chosen.exists():
            shutil.copy(chosen, draft, follow_symlinks=False)
        elif name == "localtime":
            draft.symlink_to(UTC)
        else:
            shutil.copy(under(root, f"{DEFAULT_NAMES}/{name}"), draft)
        draft.replace(folder / name)
    return (folder / "hostname").read_text().strip()


def set_kernel_name(root: Path, name: str) -> None:
    path = under(root, KERNEL_NAME)
    if path.read_text().strip() != name:
        path.write_text(name)


def _holds(path: Path, file: File) -> bool:
    if path.is_symlink() != file.is_link or not (path.is_symlink() or path.is_file()):
        return False
    if file.is_link:
        return str(path.readlink()) == file.text
    status = path.stat()
    is_mode = status.st_mode & 0o777 == file.mode
    return is_mode and path.owner() == file.owner and path.read_bytes() == file.text.encode()


def _link(path: Path, target: str) -> None:
    draft = path.with_name(f".{path.name}.new")
    draft.unlink(missing_ok=True)
    draft.symlink_to(target)
    draft.replace(path)
    sync_folder(path.parent)


def _make_folder(folder: Path, owner: str) -> None:
    if folder.is_dir():
        return
    _make_folder(folder.parent, "root")
    folder.mkdir(mode=0o755 if owner == "root" else 0o700)
    if owner != "root":
        shutil.chown(folder, owner, owner)
    sync_folder(folder.parent)
