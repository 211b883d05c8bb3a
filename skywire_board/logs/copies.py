"""A boot's log on the card, written durably; the oldest go where it would be too much.

An hourly copy is written only when something is in it that was not in the one before: a board at which nothing happens
writes nothing. Names sort by time: `<UTC of the first copy>-<boot>.log.gz`.
"""

import gzip
import zlib
from datetime import UTC, datetime
from pathlib import Path

from skywire_board.errors import LogError
from viscript.durable import write_whole

MAX_TEXT = 1 << 20
MAX_FOLDER = 2 << 20
MAX_BOOTS = 8
SUFFIX = ".log.gz"
BOOT_LETTERS = 8


def copy(text: bytes, folder: Path, boot: str, memory: Path, *, always: bool) -> Path | None:
    """The file, or None where the copy before said the same. `memory` (in RAM) holds its checksum. Raises LogError.

    Of a longer text the last MAX_TEXT bytes are kept; files of other boots go until all are within their bounds.
    """
    text = text[-MAX_TEXT:]
    told = f"{zlib.crc32(text):08x}\n"
    if not always and _read(memory) == told:
        return None
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        place = _place(folder, boot[:BOOT_LETTERS])
        write_whole(place, gzip.compress(text, 6, mtime=0))
        _bound(folder, place)
        memory.write_text(told)
    except OSError as error:
        raise LogError(f"the log cannot be copied to '{folder}': {error.strerror} (is the card full?)") from error
    return place


def _read(memory: Path) -> str:
    try:
        return memory.read_text()
    except OSError:
        return ""


def _place(folder: Path, boot: str) -> Path:
    """The boot's file; a new name where it has none."""
    there = sorted(folder.glob(f"*-{boot}{SUFFIX}"))
    return there[0] if there else folder / f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{boot}{SUFFIX}"


def _bound(folder: Path, newest: Path) -> None:
    """Drafts that a power cut left go too."""
    for draft in folder.glob(".*.new"):
        draft.unlink()
    kept, total = 1, newest.stat().st_size
    for path in sorted((path for path in folder.glob(f"*{SUFFIX}") if path != newest), reverse=True):
        kept, total = kept + 1, total + path.stat().st_size
        if kept > MAX_BOOTS or total > MAX_FOLDER:
            path.unlink()
