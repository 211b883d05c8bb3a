"""Asking other boards: through this machine's daemon, with one request for all of them."""

from __future__ import annotations

from typing import Any, Self, TypeVar

import msgspec

from viscript.api.client import RefusedError
from viscript.api.model import NODE_AWAY, NodeReplies, NodeReply, OnNodes, Request
from viscript.errors import ProtocolError, ViscriptError
from viscript.shell.model import Answer, Caller, Question, Talk

T = TypeVar("T")


class NodeCaller:
    """One other board, asked like this one: for commands that talk."""

    def __init__(self, daemon: Caller, node: str) -> None:
        self.patience_s = daemon.patience_s
        self._daemon = daemon
        self._node = node

    def another(self) -> Self:
        return type(self)(self._daemon.another(), self._node)

    def close(self) -> None:
        self._daemon.close()

    def fileno(self) -> int:
        return self._daemon.fileno()

    def call(self, request: Request, kind: type[T]) -> T:
        self.ask(request)
        return self.take(kind)

    def ask(self, request: Request) -> None:
        self._daemon.ask(on_nodes((self._node,), request))

    def take(self, kind: type[T]) -> T:
        replies = self._daemon.take(NodeReplies).replies
        if len(replies) != 1:
            raise ProtocolError(f"{len(replies)} boards answered for '{self._node}'")
        if replies[0].error is not None:
            raise RefusedError(replies[0].error.code, _explain(replies[0]))
        try:
            return msgspec.json.decode(replies[0].result, type=kind)
        except msgspec.DecodeError as error:
            raise ProtocolError(f"cannot understand the answer of {self._node}: {error}") from error


def on_nodes(names: tuple[str, ...], request: Request) -> OnNodes:
    return OnNodes(names, msgspec.Raw(msgspec.json.encode(request)))


def ask_boards(talk: Talk, names: tuple[str, ...], question: Question[Any]) -> Answer:
    """The question put to the named boards, or to all; what each said is shown under its name."""
    replies = talk.daemon.call(on_nodes(names, question.request), NodeReplies).replies
    return show_replies(replies, question)


def show_replies(replies: tuple[NodeReply, ...], question: Question[Any]) -> Answer:
    lines: list[str] = []
    problems: list[str] = []
    for reply in replies:
        if reply.error is not None:
            problems.append(_explain(reply))
            continue
        try:
            shown = question.read(reply.result).lines
        except ViscriptError as error:
            problems.append(f"{reply.node}: {error}")
            continue
        lines += [f"@{reply.node}"] * (len(replies) > 1)
        lines += shown
    return Answer(tuple(lines), data_of(replies), problems=tuple(problems), failed=bool(problems))


def data_of(replies: tuple[NodeReply, ...]) -> dict[str, Any]:
    return {reply.node: {"error": reply.error} if reply.error is not None else reply.result for reply in replies}


def problems_of(replies: tuple[NodeReply, ...]) -> tuple[str, ...]:
    return tuple(_explain(reply) for reply in replies if reply.error is not None)


def _explain(reply: NodeReply) -> str:
    assert reply.error is not None
    if reply.error.code == NODE_AWAY:
        return f"{reply.node} did not answer: {reply.error.text}"
    return f"{reply.node}: {reply.error.text}"
