"""Pins the first key, once and durably: a file that is linked into place, and whatever `merge` makes of it.

A link fails where something is, so of two that come at once one wins; after a power cut the file is whole or absent.
A file in that place that holds no key (damaged) would shut the board to all for ever: it is set aside.
"""

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from skywire_board.claim.words import fingerprint, read_key
from skywire_board.errors import ClaimError
from viscript.durable import sync_folder

MERGE = Path(__file__).with_name("merge")
MERGE_WITHIN_S = 60.0
PINNED = "claimed"


@dataclass(frozen=True, slots=True)
class Places:
    """The boot partition's keys, the folder of the owner's, and the folder that `merge` writes to."""

    boot: Path = Path("/boot/firmware/authorized_keys")
    owner: Path = Path("/data/owner/authorized_keys.d")
    run: Path = Path("/run/skywire")


def is_claimed(places: Places) -> bool:
    """Whether any key lets somebody in, looked up afresh. Raises ClaimError."""
    words = [MERGE, places.boot, places.owner, places.run]
    try:
        subprocess.run(words, check=True, capture_output=True, timeout=MERGE_WITHIN_S)
    except (OSError, subprocess.SubprocessError) as error:
        said = getattr(error, "stderr", None) or b""
        raise ClaimError(f"cannot put the keys together: {error} {said.decode(errors='replace')}".strip()) from error
    return (places.run / "claimed").exists()


def pin(key: str, places: Places) -> str:
    """Make `key` the owner's and let sshd know; its fingerprint. Raises ClaimError, also when somebody was first."""
    print_of_key = fingerprint(key)
    if is_claimed(places):
        raise ClaimError("this board is claimed already: its owner can add keys (/data/owner/authorized_keys.d)")
    data = f"{' '.join(read_key(key))} pinned-by-button\n".encode()
    try:
        try:
            _write_first(places.owner, data)
        except FileExistsError:
            if is_claimed(places):
                raise
            (places.owner / PINNED).replace(places.owner / f"{PINNED}.bad")  # a name with a dot counts for nothing
            _write_first(places.owner, data)
    except FileExistsError:
        raise ClaimError("this board was claimed by another key just now") from None
    except OSError as error:
        raise ClaimError(f"cannot keep the key in '{places.owner}': {error.strerror}") from error
    if not is_claimed(places):
        raise ClaimError(f"the key was written to '{places.owner}' and sshd cannot read it there")
    return print_of_key


def _write_first(folder: Path, data: bytes) -> None:
    folder.mkdir(mode=0o755, parents=True, exist_ok=True)
    filled, place = folder / f".{PINNED}.{os.getpid()}", folder / PINNED
    filled.unlink(missing_ok=True)
    file = os.open(filled, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
    try:
        os.write(file, data)
        os.fsync(file)
    finally:
        os.close(file)
    try:
        os.link(filled, place, follow_symlinks=False)
    finally:
        filled.unlink()
    for path in (folder, folder.parent):
        sync_folder(path)
