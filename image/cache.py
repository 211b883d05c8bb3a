"""Where the build keeps what it need not make again: files and folders under a key made of their contents' causes.

An entry is made beside its place and renamed into it, so that a build that was cut leaves no half entry. One build at a
time holds the cache. An entry's time is its last use: `clear_unused` goes by it.
"""

import fcntl
import hashlib
import os
import re
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from image.errors import ImageError

UNUSED_DAYS = 30
KEPT = {"base": 3, "licences": 3, "platform": 3, "python": 3, "unpacked": 3}
"""Folder → how many entries stay, the last used first. Packages and unpacked images go by their age alone."""
FOLDERS = (*KEPT, "debs", "images")
DRAFT = re.compile(r"\..+\.(\d+)")


def default_cache() -> Path:
    """$XDG_CACHE_HOME/skywire-board, or ~/.cache/skywire-board."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "skywire-board"


def key_of(*causes: object) -> str:
    """First 16 hex digits of the SHA-256 over the causes: structs, strings, numbers, and the contents of paths."""
    digest = hashlib.sha256()
    for cause in causes:
        for path in _files(cause) if isinstance(cause, Path) else ():
            digest.update(f"{path.name}:{path.stat().st_mode & 0o111:o}:".encode() + path.read_bytes())
        if not isinstance(cause, Path):
            digest.update(msgspec.json.encode(cause, order="deterministic") + b"\n")
    return digest.hexdigest()[:16]


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    return sorted(p for p in path.rglob("*") if p.is_file() and "__pycache__" not in p.parts)


def cached(folder: Path, name: str, make: Callable[[Path], None]) -> Path:
    """The entry `name` of `folder`; when it is not there, `make` fills a path that is then renamed to it."""
    entry = folder / name
    if entry.exists():
        mark_used(entry)
        return entry
    folder.mkdir(parents=True, exist_ok=True)
    draft = folder / f".{name}.{os.getpid()}"
    remove(draft)
    try:
        make(draft)
        draft.rename(entry)
    finally:
        remove(draft)
    mark_used(entry)
    return entry


def mark_used(entry: Path) -> None:
    """Sets the time by which `clear_unused` goes."""
    os.utime(entry)


@contextmanager
def hold(cache: Path) -> Iterator[None]:
    """Keeps the cache for this build alone; ImageError when another one has it. The kernel lets go of it at our end."""
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            lock.seek(0)
            holder = lock.read().strip()
            raise ImageError(
                f"another build runs with the cache '{cache}': process {holder} (wait for it, or use --cache FOLDER)"
            ) from error
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        yield


def clear_drafts(cache: Path) -> None:
    """Removes what builds that were killed left half made: drafts whose process is gone."""
    for path in _in_folders(cache):
        draft = DRAFT.fullmatch(path.name)
        if draft and not Path("/proc", draft[1]).exists():
            remove(path)


def clear_unused(cache: Path) -> None:
    """Removes entries unused for UNUSED_DAYS, and those beyond the newest of KEPT; drafts are not looked at."""
    oldest = time.time() - UNUSED_DAYS * 86400
    last_used = sorted((path.stat().st_mtime, path) for path in _in_folders(cache) if path.name[0] != ".")
    newer = Counter[str]()
    for used, path in reversed(last_used):
        newer[path.parent.name] += 1
        if used < oldest or newer[path.parent.name] > KEPT.get(path.parent.name, len(last_used)):
            remove(path)


def _in_folders(cache: Path) -> list[Path]:
    return [path for name in FOLDERS if (cache / name).is_dir() for path in (cache / name).iterdir()]


def remove(path: Path) -> None:
    """A file or a whole folder; nothing when it is not there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
