"""Carries requests out at the client: asks one server after another until one has answered, and joins both ends."""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address

from services.app.refusals import Refusals
from services.socks.client.asked import Asked
from services.socks.client.passage import Passage
from services.socks.client.pool import Known, Pool
from services.socks.model import NOWHERE, Command, Credentials, Place, Reply, Request
from services.socks.room.dial import Dial
from services.socks.room.front import CHUNK, Front
from services.socks.room.loop import Room
from services.socks.server.config import PIPELINED
from services.socks.wire.socks5 import ClientTalk, Replied


@dataclass(frozen=True, slots=True)
class Way:
    """How servers are asked. `want` is called where one failed or is missing, `trouble` says why there is none;
    `keeps` where somebody then looks for one.
    """

    room: Room
    pool: Pool
    refusals: Refusals
    credentials: Credentials | None
    server_s: float
    reply_s: float
    udp: bool
    keeps: bool
    want: Callable[[], None]
    trouble: Callable[[], str]


class Forward:
    def __init__(self, way: Way) -> None:
        self._way = way
        self._waiting: dict[Attempt, None] = {}

    def serve(self, front: Front, request: Request) -> None:
        if request.command is Command.BIND or (request.command is Command.UDP_ASSOCIATE and not self._way.udp):
            name = request.command.name
            front.refuse(Reply.COMMAND_UNSUPPORTED, f"command {name}", f"asks for {name}, which is not served here")
        else:
            Attempt(self._way, self._waiting, front, request).start()

    def go_on(self) -> None:
        """A server is ready: for those who wait."""
        for attempt in tuple(self._waiting):
            attempt.start()


def _nothing() -> None:
    pass


class Attempt:
    """One request, until a server has answered it: what that says of the target is the answer, whatever it is."""

    def __init__(self, way: Way, waiting: dict[Attempt, None], front: Front, request: Request) -> None:
        self._way, self._waiting, self._front, self._request = way, waiting, front, request
        self._untried: list[Known] = []
        self._tried, self._has_waited = "", False
        self._step: Callable[[], None] = _nothing
        """Undoes the step under way."""
        self._passage: Passage | None = None
        self._deadline = way.room.later(way.server_s + way.reply_s, self._too_late)
        front.left = self._undo

    def start(self) -> None:
        """With all servers that can be dialled now; where there is none it waits."""
        self._waiting.pop(self, None)
        self._untried = self._way.pool.order(self._way.room.now_s)
        self._try_next()

    # a step each

    def _try_next(self) -> None:
        if not self._untried:
            self._wait_or_refuse()
            return
        one = self._untried.pop(0)
        where, within_s = [ip_address(one.server.address)], self._way.server_s
        dial = Dial(self._way.room, where, one.server.port, within_s, lambda found: self._dialled(one, found))
        self._step = dial.cancel
        dial.start()

    def _dialled(self, one: Known, found: socket.socket | Reply) -> None:
        self._step = _nothing
        if isinstance(found, Reply):
            self._failed(one, f"cannot be reached ({found.name.lower().replace('_', ' ')})")
            return
        way, request = self._way, self._request
        try:
            if request.command is Command.UDP_ASSOCIATE:
                request = self._open_passage(one, request)
        except OSError as error:
            way.room.forget(found.fileno())
            found.close()
            self._refuse(Reply.FAILED, f"no socket for UDP: {error.strerror}")
            return
        talk = ClientTalk(request, way.credentials, pipelined=PIPELINED in one.server.labels)
        asked = Asked(way.room, found, talk, way.reply_s, lambda answer: self._answered(one, asked, answer))
        self._step = asked.cancel
        asked.start()

    def _answered(self, one: Known, asked: Asked, answer: Replied | str) -> None:
        if isinstance(answer, str):
            self._step = _nothing
            self._failed(one, answer)
            return
        self._way.pool.worked(one)
        if answer.reply is not Reply.SUCCEEDED:
            self._refuse(answer.reply)
        elif self._passage is None:
            self._step = _nothing
            self._undo()
            self._front.left = None
            self._front.join(asked.end, NOWHERE, asked.rest)
        else:
            self._stay(self._passage, asked, answer.bound.port)

    def _failed(self, one: Known, why: str) -> None:
        self._drop_passage()
        self._tried = f"'{one.server.node_id}', {why}"
        self._way.pool.failed(one, self._way.room.now_s, why)
        self._want()
        self._try_next()

    def _wait_or_refuse(self) -> None:
        """Once: a session may have ended, and is opened anew within a moment."""
        if self._way.keeps and not self._has_waited:
            self._has_waited = True
            self._waiting[self] = None
            self._want()
        else:
            self._refuse(Reply.FAILED, f"no server answers; the last one, {self._tried}")

    # UDP

    def _open_passage(self, one: Known, request: Request) -> Request:
        """What the server is asked: it is told the port that datagrams will come from."""
        near, far = self._front.end.getsockname()[0], one.server.address
        self._passage = Passage(self._way.room, near, far, self._front.client, request.place.port)
        anywhere = IPv6Address(0) if ":" in far else IPv4Address(0)
        return Request(request.command, Place(anywhere, self._passage.far_port))

    def _stay(self, passage: Passage, asked: Asked, port: int) -> None:
        """As long as both connections stand."""
        self._deadline.cancel()
        self._way.room.hand_over(asked.end.fileno(), lambda _events: self._watch(asked.end))
        try:
            passage.start(port)
        except OSError:
            self._refuse(Reply.FAILED)
            return
        if not self._front.stay(passage.place):
            self._front.close()

    def _watch(self, end: socket.socket) -> None:
        try:
            while end.recv(CHUNK):
                pass
        except BlockingIOError:
            return
        except OSError:
            pass
        self._front.close()

    # ends

    def _want(self) -> None:
        self._way.want()
        self._way.room.wake_asyncio()

    def _too_late(self) -> None:
        if self in self._waiting:
            self._refuse(Reply.FAILED, f"no server is ready: {self._way.trouble() or 'none in time'}")
        else:
            self._refuse(Reply.TIMED_OUT)

    def _refuse(self, reply: Reply, why: str = "") -> None:
        self._undo()
        self._front.left = None
        self._front.refuse(reply, "server" if why else "", why)

    def _undo(self) -> None:
        self._waiting.pop(self, None)
        self._deadline.cancel()
        step, self._step = self._step, _nothing
        step()
        self._drop_passage()

    def _drop_passage(self) -> None:
        passage, self._passage = self._passage, None
        if passage is not None:
            passage.close()
