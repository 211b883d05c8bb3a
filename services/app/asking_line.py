"""A blocking connection to a program's own UNIX socket, as `line_socket` offers one, for who loads no event loop: lines
there and lines back, each waited for so long and no longer. What is said on it is the program's own.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Self

import msgspec

from services.lines import LineReader, encode

CHUNK = 64 * 1024

Away = Callable[[OSError | None], Exception]
"""What to raise where nobody answers: of this trouble, or, with None, because the other end has closed."""


class AskingLine:
    """After an error make another. `close` may be called by another thread: whoever waits here is then told."""

    def __init__(self, path: Path, lines: LineReader, away: Away, within_s: float) -> None:
        """Raises what `away` makes, here as in every method."""
        self._lines, self._away = lines, away
        self._whole: list[bytes] = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(within_s)
        try:
            self._socket.connect(str(path))
        except OSError as error:
            self._socket.close()
            raise away(error) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def end(self) -> None:
        self.close()
        self._socket.close()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def fileno(self) -> int:
        return self._socket.fileno()

    def wait_at_most(self, within_s: float | None) -> None:
        """For each send and each piece of an answer from now on; None: for ever."""
        self._socket.settimeout(within_s)

    def answer_to(self, request: msgspec.Struct) -> bytes:
        self.say(encode(request))
        return self.hear()

    def say(self, data: bytes) -> bool:
        """Whether they listen. Who does not any more may have said why before: `hear` it."""
        try:
            self._socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            return False
        except OSError as error:
            raise self._away(error) from None
        return True

    def hear(self) -> bytes:
        """The next line. Raises also what `lines` does for one that is too long."""
        while not self._whole:
            self._whole = self._lines.feed(self.hear_bytes(CHUNK))
        return self._whole.pop(0)

    def hear_bytes(self, most: int, flags: int = 0) -> bytes:
        """What comes next, at least one byte of it. Not between lines of `hear`, which reads ahead."""
        try:
            data = self._socket.recv(most, flags)
        except OSError as error:
            raise self._away(error) from None
        if not data:
            raise self._away(None)
        return data


def why_away(
    program: str, path: Path, error: OSError | None, step: str, allowed: str = "be root, or of the socket's group"
) -> tuple[str, str]:
    """The sentence, and the next step where it is `step`: to start the program. `allowed`: how one may ask it."""
    match error:
        case None:
            return f"the {program} at '{path}' closed the connection without an answer", ""
        case TimeoutError():
            return f"the {program} at '{path}' does not answer in time", ""
        case PermissionError():
            return f"may not speak to the {program} at '{path}': {allowed}", ""
    return f"no {program} answers at '{path}': {error.strerror or error}", step
