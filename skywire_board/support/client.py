"""Asks for the archive, blocking: for the shell."""

import contextlib
import socket
from collections.abc import Iterator
from pathlib import Path

import msgspec

from skywire_board.errors import SupportError
from skywire_board.support.words import MAX_LINE, SOCKET, Answer, Made, Make, Refused

MADE_WITHIN_S = 240.0
CHUNK = 65_536


@contextlib.contextmanager
def ask(make: Make, path: Path = SOCKET) -> Iterator[tuple[Made, Iterator[bytes]]]:
    """What was made, and its bytes where they come along. Raises SupportError."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as door:
            door.settimeout(MADE_WITHIN_S)
            door.connect(str(path))
            door.sendall(msgspec.json.encode(make) + b"\n")
            with door.makefile("rb") as file:
                line = file.readline(MAX_LINE)
                if not line:
                    raise ConnectionResetError
                answer: Made | Refused = msgspec.json.decode(line, type=Answer)
                if isinstance(answer, Refused):
                    raise SupportError(answer.text)
                yield answer, _chunks(file.read, 0 if answer.path else answer.bytes)
    except (BrokenPipeError, ConnectionResetError):
        raise SupportError(f"'{path}' hung up: an archive is being made for another; ask again in minutes") from None
    except (OSError, msgspec.DecodeError) as error:
        raise SupportError(f"cannot ask for the archive at '{path}': {error} (is this a board?)") from None


def _chunks(read: object, left: int) -> Iterator[bytes]:
    assert callable(read)
    while left:
        data = read(min(CHUNK, left))
        if not data:
            raise SupportError(f"the archive ends {left} bytes too early: ask again")
        left -= len(data)
        yield data
