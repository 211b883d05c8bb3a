"""The client's own socket: whoever may enter its folder asks how it is; root and its own user switch it off."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import struct
from collections.abc import Awaitable, Callable
from pathlib import Path

from services.app.farewell import close, turn_away
from services.app.refusals import Refusals
from services.vpn.client.api_words import (
    Answer,
    Done,
    GetStatus,
    Off,
    Refused,
    Request,
    Status,
    encode,
    line_reader,
    read_answer,
    read_request,
)
from services.vpn.errors import AskError, StartError, TalkError
from viscript.signal.peers import make_unix_listener, remove_unix_listener

log = logging.getLogger(__name__)

MODE, FOLDER_MODE = 0o666, 0o755
MAX_CONNECTIONS = 16
IDLE_S, ANSWER_WITHIN_S = 10.0, 60.0
CHUNK = 4096

_credentials = struct.Struct("iII")


class Api:
    def __init__(self, path: Path, status: Callable[[], Awaitable[Status]], off: Callable[[], Awaitable[None]]) -> None:
        """`off` returns once everything is down."""
        self._path, self._status, self._off = path, status, off
        self._server: asyncio.Server | None = None
        self._inode = 0
        self.refusals = Refusals(log)
        self._open: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Raises StartError, also where another client runs."""
        if _answers(self._path):
            raise StartError(f"another VPN client runs already, at '{self._path}' (see: meshnet-vpn-client status)")
        try:
            self._path.parent.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
            listener, self._inode = make_unix_listener(self._path, MODE)
        except OSError as error:
            raise StartError(f"cannot listen at '{self._path}': {error.strerror} (set another: ram)") from None
        self._server = await asyncio.start_unix_server(self._connected, sock=listener)

    async def close(self) -> None:
        """Whoever is being answered is answered first."""
        if self._server is not None:
            self._server.close()
            remove_unix_listener(self._path, self._inode)
        if self._open:
            await asyncio.wait(self._open, timeout=1.0)
        for task in self._open:
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        if len(self._open) >= MAX_CONNECTIONS:
            self.refusals.note("connections", "too many connections to this client's own socket: one is refused")
            turn_away(writer, encode(Refused("too many connections: ask again in a moment")))
            return
        self._open.add(task)
        try:
            await self._talk(reader, writer)
        except TalkError as error:
            self.refusals.note("line", f"a connection to this client's own socket ends: {error}")
            writer.write(encode(Refused(str(error))))
        except OSError as error:
            log.debug("a connection ends: %s", error or "silent, or slow to read")
        except asyncio.CancelledError:
            log.debug("a connection ends with this program")  # asyncio before 3.12 would tell it as a mistake
        finally:
            self._open.discard(task)
            close(writer)

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One question after the other, each within its time."""
        lines = line_reader()
        while True:
            async with asyncio.timeout(IDLE_S):
                data = await reader.read(CHUNK)
            if not data:
                return
            for line in lines.feed(data):
                writer.write(encode(await self._answer(line, _uid(writer))))
                async with asyncio.timeout(IDLE_S):
                    await writer.drain()

    async def _answer(self, line: bytes, uid: int) -> Answer:
        try:
            request = read_request(line)
        except TalkError as error:
            self.refusals.note("question", f"a question at this client's own socket is refused: {error}")
            return Refused(str(error))
        if isinstance(request, GetStatus):
            return await self._status()
        if uid not in {0, os.geteuid()}:
            self.refusals.note("off", f"user {uid} may not switch this client off")
            return Refused("only root and the client's own user may switch it off")
        await self._off()
        return Done()


def _uid(writer: asyncio.StreamWriter) -> int:
    end = writer.get_extra_info("socket")
    _, uid, _ = _credentials.unpack(end.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _credentials.size))
    return int(uid)


# asking, without an event loop


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as door:
        door.settimeout(1.0)
        try:
            door.connect(str(path))
        except OSError:
            return False
        return True


def ask(path: Path, request: Request) -> Status | Done | None:
    """None where no client runs. Raises AskError with what the client says, or why it says nothing."""
    lines = line_reader()
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as door:
        door.settimeout(ANSWER_WITHIN_S if isinstance(request, Off) else IDLE_S)
        try:
            door.connect(str(path))
        except (FileNotFoundError, ConnectionRefusedError):
            return None
        except OSError as error:
            raise AskError(f"cannot ask the client at '{path}': {error.strerror or error}") from None
        try:
            with contextlib.suppress(BrokenPipeError):  # it may have said why before it stopped listening
                door.sendall(encode(request))
            while data := door.recv(CHUNK):
                for line in lines.feed(data):
                    return _told(read_answer(line))
        except (OSError, TalkError) as error:
            raise AskError(f"the client at '{path}' does not answer: {error}") from None
    raise AskError(f"the client at '{path}' closed the connection without an answer")


def _told(answer: Answer) -> Status | Done:
    if isinstance(answer, Refused):
        raise AskError(answer.why)
    return answer
