"""Where every request of the API arrives: those about applications go to their desks, those about boards to the
cluster, and the daemon answers for itself.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Protocol

import msgspec

from viscript import __version__
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
    """The boards of the cluster, this one among them; `trouble` is why it is not as its configuration says."""

    trouble: str

    async def nodes(self) -> Nodes: ...

    async def channels(self) -> Channels: ...

    async def on(self, names: tuple[str, ...], request: msgspec.Raw) -> NodeReplies:
        """No names are all boards. Raises UsageError for one that is unknown, before any is asked."""


class Desk:
    """Answers requests. The `cluster`, itself made with this desk's `answer`, is given to it afterwards."""

    def __init__(
        self,
        launcher: Launcher,
        questions: Questions,
        logs: Logs,
        signals: SignalServer,
        address: Address,
    ) -> None:
        self.cluster: Boards | None = None
        self._launcher = launcher
        self._signals = signals
        self._address = address
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
            raise ClusterError("this viscript commands no other boards")
        match request:
            case ListNodes():
                return await self.cluster.nodes()
            case ListChannels():
                return await self.cluster.channels()
            case OnNodes(names, asked):
                return await self.cluster.on(names, asked)

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
            trouble="; ".join(filter(None, (self._launcher.trouble, self.cluster.trouble if self.cluster else ""))),
            ended=self._launcher.ended()[::-1],
            waiting=self._launcher.waiting(),
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
