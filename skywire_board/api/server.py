"""The board's socket in the supervisor's event loop: lines in, events out; what the button does is told to who follows.

Nobody can hold it up: connections are few, lines short and paced, and who is slow to ask or to read is hung up on.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import pwd
import socket
import struct
from collections.abc import Callable
from pathlib import Path

import msgspec

from skywire_board.api_words import (
    MAX_LINE,
    Acted,
    Answer,
    Done,
    Follow,
    GetStatus,
    Press,
    Refused,
    Request,
    Say,
    Status,
    line,
    read_request,
)
from skywire_board.model import Act, Asked, Followed, LineClosed, Said, Saying, SocketEvent

MAX_LINES = 32
MAX_LINES_EACH = 8
IDLE_S = 10.0
MAX_UNREAD = 64 * 1024
BURST = 20
EVERY_S = 0.1
MAY_PRESS = ("root", "admin", "viscript")

Post = Callable[[SocketEvent], None]


class BoardServer:
    """Listens at `path`. `post` takes the events; `tell_status` answers for the state."""

    def __init__(self, path: Path, post: Post, tell_status: Callable[[], Status]) -> None:
        self.path, self.post, self.tell_status = path, post, tell_status
        self.lines: dict[int, Connection] = {}
        self.numbers = itertools.count(1)
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Raises OSError where the folder is missing or not ours."""
        with contextlib.suppress(FileNotFoundError):
            self.path.unlink()
        door = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        try:
            door.bind(str(self.path))
            self.path.chmod(0o660)
        except BaseException:
            door.close()
            raise
        loop = asyncio.get_running_loop()
        self._server = await loop.create_unix_server(lambda: Connection(self), sock=door, backlog=128)

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
        for connection in list(self.lines.values()):
            connection.hang_up()

    def tell(self, act: Act, lines: tuple[int, ...]) -> None:
        """What the button did, to who follows."""
        acted = msgspec.convert({"act": act.value, "is": "act"}, Acted)
        for number in lines:
            if number in self.lines:
                self.lines[number].answer(acted)

    def has_room(self, uid: int) -> bool:
        each = sum(connection.uid == uid for connection in self.lines.values())
        return len(self.lines) < MAX_LINES and (each < MAX_LINES_EACH or uid == 0)


class Connection(asyncio.Protocol):
    """One connection; `uid` is who is at its other end, by the kernel's word."""

    def __init__(self, server: BoardServer) -> None:
        self._server = server
        self._loop = asyncio.get_running_loop()
        self._data = bytearray()
        self._tokens = float(BURST)
        self._counted_s = self._loop.time()
        self._idle: asyncio.TimerHandle | None = None
        self._pause: asyncio.TimerHandle | None = None
        self._number = 0
        self._stays = False
        self.uid = -1

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Let in who there is room for."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self.uid = _uid(transport.get_extra_info("socket"))
        if not self._server.has_room(self.uid):
            self._refuse("too many connections are open")
            return
        self._number = next(self._server.numbers)
        self._server.lines[self._number] = self
        self._be_patient()

    def data_received(self, data: bytes) -> None:
        """Lines, or parts of one."""
        if self._transport.is_closing():
            return
        self._data += data
        self._work()

    def connection_lost(self, exc: Exception | None) -> None:
        """Whatever was said ends."""
        for handle in (self._idle, self._pause):
            if handle is not None:
                handle.cancel()
        if self._server.lines.pop(self._number, None) is not None and self._stays:
            self._server.post(LineClosed(self._loop.time(), self._number))

    def hang_up(self) -> None:
        self._transport.abort()

    def answer(self, answer: Answer) -> None:
        """To who reads; who does not is hung up on."""
        if self._transport.is_closing():
            return
        self._transport.write(line(answer))
        if self._transport.get_write_buffer_size() > MAX_UNREAD:
            self.hang_up()

    def _work(self) -> None:
        """The lines that are there, as many as the pace allows."""
        self._pause = None
        while b"\n" in self._data and not self._transport.is_closing():
            if not self._may_go():
                self._transport.pause_reading()
                self._pause = self._loop.call_later(EVERY_S, self._work)
                return
            text, _, rest = bytes(self._data).partition(b"\n")
            self._data = bytearray(rest)
            self._take(text)
        if len(self._data) > MAX_LINE:
            self._refuse(f"a line of more than {MAX_LINE} bytes")
        if not self._transport.is_closing():
            self._transport.resume_reading()

    def _may_go(self) -> bool:
        now_s = self._loop.time()
        self._tokens = min(float(BURST), self._tokens + (now_s - self._counted_s) / EVERY_S)
        self._counted_s = now_s
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True

    def _take(self, text: bytes) -> None:
        self._be_patient()
        try:
            if len(text) > MAX_LINE:
                raise msgspec.DecodeError(f"a line of more than {MAX_LINE} bytes")
            request = read_request(text)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            self._refuse(f"asked wrongly: {error}")
            return
        self.answer(self._do(request))

    def _do(self, request: Request) -> Answer:
        at_s = self._loop.time()
        match request:
            case GetStatus():
                return self._server.tell_status()
            case Say(source, state, text, code, blinks):
                if state == "fault" and not blinks:
                    return Refused("a fault needs its blinks, a row of `skywire-board patterns`")
                self._stay()
                self._server.post(Said(at_s, Saying(self._number, source, state, text, code, blinks)))
            case Follow():
                self._stay()
                self._server.post(Followed(at_s, self._number))
            case Press(act):
                if (name := _name(self.uid)) not in MAY_PRESS:
                    return Refused(f"'{name}' may not press the button (may: {', '.join(MAY_PRESS)})")
                self._server.post(Asked(at_s, Act(act)))
        return Done()

    def _stay(self) -> None:
        self._stays = True
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None

    def _be_patient(self) -> None:
        if self._idle is not None:
            self._idle.cancel()
        if not self._stays:
            self._idle = self._loop.call_later(IDLE_S, self._transport.close)

    def _refuse(self, why: str) -> None:
        self._data.clear()
        self.answer(Refused(why))
        self._transport.close()


def _uid(door: socket.socket) -> int:
    _, uid, _ = struct.unpack("3i", door.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i")))
    return int(uid)


def _name(uid: int) -> str:
    if uid == os.geteuid() == 0:
        return "root"
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
