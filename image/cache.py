"""Where the build keeps what it need not make again: files and folders under a key made of their contents' causes.

An entry is made beside its place and renamed into it, so that a build that was cut leaves no half entry.
"""

import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import msgspec


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
        os.utime(entry)
        return entry
    folder.mkdir(parents=True, exist_ok=True)
    draft = folder / f".{name}.{os.getpid()}"
    _remove(draft)
    try:
        make(draft)
        draft.rename(entry)
    finally:
        _remove(draft)
    return entry


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
