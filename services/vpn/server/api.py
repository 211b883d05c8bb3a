"""The server's own socket, and how its commands ask there. Whoever may enter its folder may ask; nothing is changed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path

from services.app.asking_line import AskingLine, why_away
from services.app.line_socket import FULL, LineSocket, Room, answer_lines
from services.app.refusals import Refusals
from services.kernel.errors import KernelError
from services.lines import LineReader, encode
from services.vpn.errors import AskError, StartError, TalkError
from services.vpn.server.api_words import MAX_LINE, Answer, Clients, Refused, Request, Status, line_reader, read_answer
from services.vpn.server.api_words import read_request as read

log = logging.getLogger(__name__)

MODE = 0o666
MAX_REQUEST = 1024
ROOM = Room(all=16, others=12, of_one=12)
IDLE_S = 10.0


class Api:
    def __init__(self, path: Path, answer: Callable[[Request], Awaitable[Answer]]) -> None:
        self._path, self._answer = path, answer
        self.refusals = Refusals(log)
        full = encode(Refused(FULL))
        self._socket = LineSocket(path, self._serve, ROOM, self.refusals, full=full, mode=MODE)

    async def start(self) -> None:
        """Raises StartError."""
        try:
            await self._socket.start()
        except OSError as error:
            raise StartError(f"cannot listen at '{self._path}': {error.strerror} (set another: ram)") from None

    async def close(self) -> None:
        await self._socket.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, _uid: int) -> None:
        try:
            await answer_lines(reader, writer, line_reader(MAX_REQUEST), self._answered, IDLE_S)
        except TalkError as error:
            self.refusals.note("line", f"a connection to this server's own socket ends: {error}")
            writer.write(encode(Refused(str(error))))

    async def _answered(self, line: bytes) -> bytes:
        try:
            return encode(await self._answer(read(line)))
        except (TalkError, KernelError) as error:
            self.refusals.note(type(error).__name__, f"a question at this server's own socket is refused: {error}")
            return encode(Refused(str(error)))


def ask(path: Path, request: Request) -> Status | Clients:
    """Without an event loop. Raises AskError."""
    with AskingLine(path, LineReader(MAX_LINE, AskError), lambda error: _away(path, error), IDLE_S) as line:
        return read_answer(line.answer_to(request))


def _away(path: Path, error: OSError | None) -> AskError:
    what, step = why_away("server", path, error, "run: meshnet-vpn-server run", "its folder may not be entered")
    return AskError(f"{what} ({step})" if step else what)
