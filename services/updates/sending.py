"""Sends a bundle to the manager on this machine, from a file, a URL or standard input ("-"): blocking, one connection,
in chunks, each of which is in the object store when the next one goes.
"""

from __future__ import annotations

import contextlib
import sys
import urllib.parse
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from services.manager.client import Line
from services.updates.api_words import PutChunk, Took
from services.updates.bundle import MAGIC
from services.updates.errors import BundleError
from services.updates.model import MAX_BUNDLE

if TYPE_CHECKING:
    from urllib.request import Request

CHUNK = 64 << 10
READ_WITHIN_S = 60.0

OnProgress = Callable[[int, int], None]
"""Bytes so far, and of how many; 0 where nobody knows."""


def send(source: str, on_progress: OnProgress = lambda _sent, _of: None, path: Path | None = None) -> str:
    """The upload's name, for `StartUpdate`. Raises BundleError, ManagerAwayError, RefusedError."""
    with _opened(source) as (stream, size), Line(path) as line:
        upload, sent = "", 0
        while data := _read(stream, source):
            if not upload and not data.startswith(MAGIC):
                raise BundleError(f"'{source}' is no RAUC bundle (expected a file '.raucb', as the build makes one)")
            took = line.ask(PutChunk(data, upload), Took)
            upload, sent = took.upload, took.size
            on_progress(sent, size)
    if not upload:
        raise BundleError(f"'{source}' is empty")
    return upload


@contextlib.contextmanager
def _opened(source: str) -> Iterator[tuple[BinaryIO, int]]:
    try:
        if source.startswith(("http://", "https://")):
            from urllib.request import urlopen  # noqa: PLC0415 (only for a URL)

            with urlopen(_asked(source), timeout=READ_WITHIN_S) as reply:  # noqa: S310 (of these two schemes)
                size = int(reply.headers.get("Content-Length") or 0)
                _check_size(source, size)
                yield reply, size
        elif source == "-":
            yield sys.stdin.buffer, 0
        else:
            with Path(source).open("rb") as file:
                size = Path(source).stat().st_size
                _check_size(source, size)
                yield file, size
    except OSError as error:
        raise BundleError(f"'{source}' cannot be read: {error.strerror or error}") from None


def _asked(address: str) -> Request:
    """A name and password in the address go as HTTP's header: urllib would take them for a part of the host's name, and
    ask the network's resolver for it. Raises BundleError.
    """
    from urllib.request import Request  # noqa: PLC0415 (only for a URL)

    from skywire_board.logins import split_login  # noqa: PLC0415

    try:
        bare, header = split_login(address)
        _ = urllib.parse.urlsplit(bare).port  # which is where a wrong one is told
    except ValueError as error:
        raise BundleError(f"'{address}' is no address: {error}") from None
    request = Request(bare)  # noqa: S310 (of these two schemes)
    if header:
        request.add_unredirected_header(*header.split(": ", 1))
    return request


def _check_size(source: str, size: int) -> None:
    if size > MAX_BUNDLE:
        raise BundleError(f"'{source}' has {size >> 20} MiB: a bundle has at most {MAX_BUNDLE >> 20}")


def _read(stream: BinaryIO, source: str) -> bytes:
    """A whole chunk, but for the last."""
    data = b""
    try:
        while len(data) < CHUNK and (more := stream.read(CHUNK - len(data))):
            data += more
    except OSError as error:
        raise BundleError(f"'{source}' cannot be read to its end: {error.strerror or error}") from None
    return data
