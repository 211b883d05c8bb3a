"""Makes the archive: runs the programs of the table, reads its files, cleans each text, packs them. In RAM alone.

A source that fails is part of the archive as what went wrong; nothing here stops for it.
"""

import gzip
import io
import json
import re
import subprocess
import tarfile
import time
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from skywire_board.support.known import secrets_in
from skywire_board.support.outline import outline
from skywire_board.support.redact import Redactor
from skywire_board.support.sources import FILES, SECRET_FILES, TOLD, Files, Told

MOST_BYTES = 1 << 20
"""Of one source, its end."""

MOST_UNPACKED = 8 << 20

TELL_WITHIN_S = 30.0
ALL_WITHIN_S = 180.0
_ID = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Piece:
    """One file of the archive."""

    name: str
    text: str


def make_archive(root: Path, told: Iterable[Told] = TOLD, files: Iterable[Files] = FILES) -> bytes:
    """A gzipped tar of everything, cleaned. `root` is where files are looked for: `/` on a board."""
    pieces = [*_ask_all(told), *_read_all(root, files)]
    redactor = Redactor(_known(root), _public(pieces))
    cleaned = [Piece(piece.name, redactor.clean(piece.text)) for piece in pieces]
    made = Piece("README", _readme(cleaned))
    return _pack([made, *cleaned])


def _ask_all(told: Iterable[Told]) -> Iterator[Piece]:
    ends_s = time.monotonic() + ALL_WITHIN_S
    for one in told:
        left_s = min(TELL_WITHIN_S, ends_s - time.monotonic())
        yield Piece(f"{one.name}.txt", _ask(one, left_s) if left_s > 0 else "not asked: the others took too long\n")


def _ask(one: Told, within_s: float) -> str:
    try:
        done = subprocess.run(one.words, capture_output=True, timeout=within_s, check=False, stdin=subprocess.DEVNULL)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"{one.words[0]} was not to be had: {type(error).__name__}\n"
    text = done.stdout[-MOST_BYTES:].decode(errors="replace")
    said = done.stderr[-4096:].decode(errors="replace")
    return f"{text}\nended with {done.returncode}: {said}" if done.returncode else text


def _read_all(root: Path, files: Iterable[Files]) -> Iterator[Piece]:
    for one in files:
        for path in sorted(root.glob(one.pattern)):
            if not path.is_file() or (path.is_symlink() and "*" in one.pattern):  # a link could lead to anything
                continue
            text = _read(path)
            yield Piece(f"{one.name}{f'/{path.name}' if '*' in one.pattern else ''}.txt",
                        outline(text) if one.settings else text)  # fmt: skip


def _read(path: Path) -> str:
    """The end of it, unpacked: what is packed twice could not be cleaned."""
    try:
        if path.suffix == ".gz":
            with gzip.open(path) as packed:
                return packed.read(MOST_UNPACKED)[-MOST_BYTES:].decode(errors="replace")
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - MOST_BYTES))
            return file.read(MOST_BYTES).decode(errors="replace")
    except (OSError, EOFError, zlib.error) as error:
        return f"cannot be read: {error}\n"


def _known(root: Path) -> set[str]:
    """Short secrets of people, which have no form by which they could be seen in a text."""
    return {one for pattern in SECRET_FILES for path in root.glob(pattern) for one in secrets_in(_bytes(path))}


def _bytes(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(MOST_BYTES)
    except OSError:
        return b""


def _public(pieces: Iterable[Piece]) -> set[str]:
    """Node ids of this board and of what its node tells of: everybody may know them."""
    for piece in pieces:
        if piece.name == "mesh/node.txt":
            try:
                status = json.loads(piece.text)
                ids = [status["node_id"], *(one.get("node_id") or "" for one in status.get("managers", ()))]
            except (ValueError, KeyError, TypeError, AttributeError):
                return set()
            return {one for one in ids if isinstance(one, str) and _ID.fullmatch(one)}
    return set()


def _readme(pieces: list[Piece]) -> str:
    names = "\n".join(f"  {piece.name}" for piece in pieces)
    return (
        "What a Skywire Board told about itself for support. Keys, ids, passwords, invitations and words were taken\n"
        "out; the same mark, such as <id 3>, stands for the same text throughout. Look through it before you give it\n"
        f"away: addresses and names of the network are in it.\n\n{names}\n"
    )


def _pack(pieces: list[Piece]) -> bytes:
    """No time and no owner in it, so that nothing but the texts tells of the board."""
    target = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=target, mode="wb", compresslevel=6, mtime=0, filename="") as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as tar,
    ):
        for piece in pieces:
            data = piece.text.encode()
            row = tarfile.TarInfo(f"skywire-support/{piece.name}")
            row.size = len(data)
            tar.addfile(row, io.BytesIO(data))
    return target.getvalue()
