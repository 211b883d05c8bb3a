"""Where every request of the API arrives: those about applications go to their desks, those about boards to the
cluster, and the daemon answers for itself.
"""

from __future__ import annotations

import os
import socket
import time
from typing import TYPE_CHECKING, Protocol

import msgspec

from viscript import __version__
from viscript.api.failures import failure_of
from viscript.api.life_desk import LifeDesk
from viscript.api.model import (
    AskStatus,
    Channels,
    ClusterRequest,
    ClusterResult,
    LifeRequest,
    ListChannels,
    ListNodes,
    NodeReplies,
    NodeReply,
    Nodes,
    OnNodes,
    Reload,
    Request,
    Result,
    Status,
    TalkRequest,
)
from viscript.api.talk_desk import TalkDesk
from viscript.errors import ClusterError, NotForwardedError, UsageError

if TYPE_CHECKING:
    from viscript.launcher.lifecycle import Launcher
    from viscript.launcher.logs import Logs
    from viscript.launcher.questions import Questions
    from viscript.signal.model import Address
    from viscript.signal.server import SignalServer


class Boards(Protocol):
    """The boards of the cluster, this one among them."""

    async def nodes(self) -> Nodes: ...

    async def channels(self) -> Channels: ...

    async def on(self, names: tuple[str, ...], request: msgspec.Raw) -> NodeReplies:
        """No names are all boards. Raises ClusterError for one that is unknown, before any is asked."""


class Desk:
    """Answers requests. Without a `cluster` only the board of this `name` can be asked."""

    def __init__(
        self,
        launcher: Launcher,
        questions: Questions,
        logs: Logs,
        signals: SignalServer,
        address: Address,
        *,
        cluster: Boards | None = None,
        name: str = "",
    ) -> None:
        self.cluster = cluster
        self._launcher = launcher
        self._signals = signals
        self._address = address
        self._name = name or socket.gethostname()
        self._life = LifeDesk(launcher, signals)
        self._talk = TalkDesk(launcher, questions, logs, signals)
        self._since = time.monotonic()

    async def answer(self, request: Request) -> Result:
        """Raises ViscriptError or SignalError."""
        if isinstance(request, LifeRequest):
            return await self._life.answer(request, self._launcher.trouble)
        if isinstance(request, TalkRequest):
            return await self._talk.answer(request)
        if isinstance(request, ClusterRequest):
            return await self._answer_for_boards(request)
        if isinstance(request, Reload):
            return self._launcher.reload()
        return self._tell_status(request)

    async def _answer_for_boards(self, request: ClusterRequest) -> ClusterResult:
        if self.cluster is None:
            return await self._answer_alone(request)
        match request:
            case ListNodes():
                return await self.cluster.nodes()
            case ListChannels():
                return await self.cluster.channels()
            case OnNodes(names, asked):
                return await self.cluster.on(names, asked)

    async def _answer_alone(self, request: ClusterRequest) -> NodeReplies:
        if not isinstance(request, OnNodes) or set(request.nodes) != {self._name}:
            raise ClusterError(f"no cluster is configured: this board '{self._name}' knows no other (see the README)")
        return NodeReplies((await self.answer_as_board(self._name, request.request),))

    async def answer_as_board(self, name: str, asked: msgspec.Raw) -> NodeReply:
        """This board's part of what several were asked."""
        what = "the request"
        try:
            request = read_request(asked)
            what = type(request).__name__
            return NodeReply(name, msgspec.Raw(msgspec.json.encode(await self.answer(request))))
        except Exception as error:
            return NodeReply(name, error=failure_of(error, what))

    def _tell_status(self, _request: AskStatus) -> Status:
        return Status(
            version=__version__,
            pid=os.getpid(),
            uptime_s=round(time.monotonic() - self._since, 1),
            apps=len(self._launcher.config.apps),
            running=len(self._launcher.running()),
            connected=len(self._signals.connected()),
            signal_address=str(self._address),
            config=self._launcher.config.source,
            trouble=self._launcher.trouble,
            ended=self._launcher.ended(),
        )


def read_request(asked: msgspec.Raw) -> Request:
    """What a board is asked on behalf of another. Raises UsageError, or NotForwardedError for what would go on."""
    try:
        request: Request = msgspec.json.decode(asked, type=Request)
    except msgspec.DecodeError as error:
        raise UsageError(f"cannot read what the boards are asked: {error}") from error
    if isinstance(request, ClusterRequest):
        raise NotForwardedError("a board answers for itself only: ask the other boards directly")
    return request
