"""The client's own socket: whoever may enter its folder asks how it is; root and its own user switch it off."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path

from services.app.asking_line import AskingLine, why_away
from services.app.line_socket import FULL, LineSocket, Room, answer_lines, is_trusted
from services.app.refusals import Refusals
from services.lines import LineReader, encode
from services.vpn.client.api_words import (
    MAX_LINE,
    Answer,
    Done,
    GetStatus,
    Off,
    Refused,
    Request,
    Status,
    line_reader,
    read_answer,
    read_request,
)
from services.vpn.errors import AskError, NobodyError, StartError, TalkError

log = logging.getLogger(__name__)

MODE = 0o666
ROOM = Room(all=16, others=12, of_one=12)
IDLE_S, ANSWER_WITHIN_S = 10.0, 60.0


class Api:
    def __init__(self, path: Path, status: Callable[[], Awaitable[Status]], off: Callable[[], Awaitable[None]]) -> None:
        """`off` returns once everything is down."""
        self._path, self._status, self._off = path, status, off
        self.refusals = Refusals(log)
        full = encode(Refused(FULL))
        self._socket = LineSocket(path, self._serve, ROOM, self.refusals, full=full, mode=MODE)

    async def start(self) -> None:
        """Raises StartError, also where another client runs."""
        if _answers(self._path):
            raise StartError(f"another VPN client runs already, at '{self._path}' (see: meshnet-vpn-client status)")
        try:
            await self._socket.start()
        except OSError as error:
            raise StartError(f"cannot listen at '{self._path}': {error.strerror} (set another: ram)") from None

    async def close(self) -> None:
        """Whoever is being answered is answered first."""
        await self._socket.close(patience_s=1.0)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, uid: int) -> None:
        async def answer(line: bytes) -> bytes:
            return encode(await self._answer(line, uid))

        try:
            await answer_lines(reader, writer, line_reader(), answer, IDLE_S)
        except TalkError as error:
            self.refusals.note("line", f"a connection to this client's own socket ends: {error}")
            writer.write(encode(Refused(str(error))))

    async def _answer(self, line: bytes, uid: int) -> Answer:
        try:
            request = read_request(line)
        except TalkError as error:
            self.refusals.note("question", f"a question at this client's own socket is refused: {error}")
            return Refused(str(error))
        if isinstance(request, GetStatus):
            return await self._status()
        if not is_trusted(uid):
            self.refusals.note("off", f"user {uid} may not switch this client off")
            return Refused("only root and the client's own user may switch it off")
        await self._off()
        return Done()


# asking, without an event loop


def ask(path: Path, request: Request) -> Status | Done | None:
    """None where no client runs. Raises AskError with what the client says, or why it says nothing."""
    try:
        with _line(path, ANSWER_WITHIN_S if isinstance(request, Off) else IDLE_S) as line:
            answer = read_answer(line.answer_to(request))
    except NobodyError:
        return None
    if isinstance(answer, Refused):
        raise AskError(answer.why)
    return answer


def _answers(path: Path) -> bool:
    try:
        _line(path, 1.0).end()
    except AskError:
        return False
    return True


def _line(path: Path, within_s: float) -> AskingLine:
    return AskingLine(path, LineReader(MAX_LINE, AskError), lambda error: _away(path, error), within_s)


def _away(path: Path, error: OSError | None) -> AskError:
    what, _ = why_away("client", path, error, "", "its folder may not be entered")
    return (NobodyError if isinstance(error, FileNotFoundError | ConnectionRefusedError) else AskError)(what)
