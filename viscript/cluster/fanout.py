"""The cluster as the desk sees it: one request to many boards at once, and one answer with all of theirs.

Every board's answer is its own matter: late, wrong or too large, it becomes that board's error and nobody else's.
This board answers itself, without a connection.
"""

from __future__ import annotations

import asyncio
import difflib
from collections.abc import Awaitable, Callable

import msgspec

from viscript.api.desk import read_request
from viscript.api.failures import failure_of
from viscript.api.model import (
    MAX_LINE,
    AskStatus,
    Channel,
    Channels,
    Failure,
    Node,
    NodeReplies,
    NodeReply,
    Nodes,
    Reply,
    Request,
    Result,
    Status,
)
from viscript.cluster.client import Board
from viscript.cluster.kinds import KINDS, Kind, find_kind
from viscript.cluster.model import ClusterConfig
from viscript.errors import UsageError

Answer = Callable[[Request], Awaitable[Result]]
Source = Callable[[], list[Channel]]

MAX_ANSWER = MAX_LINE - 4096
"""Bytes of all boards' replies together, so that they fit into the one line that carries them."""

NAMES_TOLD = 20


class Cluster:
    """`answer` is this board's own desk; `sources` tell of channels that are not the API's. `trouble` is why this
    board cannot be commanded as its configuration says.
    """

    def __init__(self, config: ClusterConfig, answer: Answer, sources: tuple[Source, ...] = ()) -> None:
        self.trouble = ""
        self._config = config
        self._answer = answer
        self._sources = sources
        source = config.listen.host if config.listen else None
        self._boards = {name: Board(name, address, source) for name, address in config.nodes.items()}

    async def on(self, names: tuple[str, ...], request: msgspec.Raw) -> NodeReplies:
        """In the order of the names; no names are all boards. Raises UsageError or NotForwardedError."""
        wanted = self._resolve(names)
        asked = read_request(request)
        kind = find_kind(asked)
        if kind is None:
            raise UsageError(f"'{type(asked).__name__}' is not asked of other boards")
        return NodeReplies(await self._ask_all(wanted, asked, kind))

    async def nodes(self) -> Nodes:
        replies = await self._ask_all(self._config.names, AskStatus(), KINDS[AskStatus])
        return Nodes(tuple(self._show(reply) for reply in replies))

    async def channels(self) -> Channels:
        """One row per connection to another board, then what the sources tell."""
        rows = [row for board in self._boards.values() if (row := board.read_channel()) is not None]
        return Channels((*rows, *(row for source in self._sources for row in source())))

    async def close(self) -> None:
        await asyncio.gather(*(board.close() for board in self._boards.values()))

    def _resolve(self, names: tuple[str, ...]) -> tuple[str, ...]:
        known = self._config.names
        for name in names:
            if name not in known:
                near = difflib.get_close_matches(name, known, 1)
                hint = f" Did you mean '{near[0]}'?" if near else ""
                more = f" and {len(known) - NAMES_TOLD} more" if len(known) > NAMES_TOLD else ""
                raise UsageError(f"No board '{name}'; known are: {', '.join(known[:NAMES_TOLD])}{more}.{hint}")
        return tuple(dict.fromkeys(names)) or known

    async def _ask_all(self, names: tuple[str, ...], request: Request, kind: Kind) -> tuple[NodeReply, ...]:
        replies = await asyncio.gather(*(self._ask(name, request, kind) for name in names))
        return fit(tuple(replies), MAX_ANSWER)

    async def _ask(self, name: str, request: Request, kind: Kind) -> NodeReply:
        reply = await (self._boards[name].ask(request, kind) if name in self._boards else self._ask_here(request, kind))
        return NodeReply(name, error=reply.error) if reply.error else NodeReply(name, reply.result)

    async def _ask_here(self, request: Request, kind: Kind) -> Reply:
        try:
            async with asyncio.timeout(kind.deadline_s):
                return Reply(0, result=msgspec.Raw(msgspec.json.encode(await self._answer(request))))
        except Exception as error:
            return Reply(0, error=failure_of(error, type(request).__name__))

    def _show(self, reply: NodeReply) -> Node:
        place = self._config.nodes.get(reply.node, self._config.listen)
        address = str(place) if place else ""
        if reply.error is not None:
            return Node(reply.node, address, error=reply.error.text)
        status = msgspec.json.decode(reply.result, type=Status)
        if reply.node in self._boards:
            return Node(reply.node, address, self._boards[reply.node].read_rtt_s(), status)
        return Node(reply.node, address, 0.0, status)


def fit(replies: tuple[NodeReply, ...], room: int) -> tuple[NodeReply, ...]:
    """The replies in no more than `room` bytes: those that take the most give way to an error."""
    sizes = {index: len(msgspec.json.encode(reply)) + 1 for index, reply in enumerate(replies)}
    kept, total = list(replies), sum(sizes.values())
    for index, size in sorted(sizes.items(), key=lambda item: -item[1]):
        if total <= room:
            break
        text = f"the answer of {size} bytes leaves no room for the others' (ask this board alone)"
        kept[index] = NodeReply(replies[index].node, error=Failure("too-large", text))
        total += len(msgspec.json.encode(kept[index])) + 1 - size
    return tuple(kept)
