"""All boards at once: who answers is heard, who does not is named, and nobody waits for the worst."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import get_args

import msgspec
import pytest

from tests.viscript.cluster.peers import STATUS, Script, answer_all, answer_line, answer_never, flood, run_peer, say
from viscript.api.model import (
    MAX_LINE,
    NODE_AWAY,
    AskStatus,
    Channel,
    ClusterRequest,
    ListNodes,
    ListRunning,
    NodeReplies,
    NodeReply,
    OnNodes,
    ReadLog,
    Request,
    Result,
    RunningApps,
    Status,
)
from viscript.cluster.fanout import MAX_ANSWER, Cluster, fit
from viscript.cluster.kinds import KINDS, QUICK_S, find_kind
from viscript.cluster.line import GARBLED
from viscript.cluster.model import ClusterConfig
from viscript.errors import NoSuchIdError, NotForwardedError, UsageError
from viscript.signal.model import Address

ASK_STATUS = msgspec.Raw(b'{"do":"status"}')
LARGE = answer_line(1, msgspec.structs.replace(STATUS, trouble="x" * 400_000))


async def answer_here(request: Request) -> Result:
    match request:
        case AskStatus():
            return STATUS
        case ListRunning():
            return RunningApps(())
        case _:
            raise NoSuchIdError(4)


@asynccontextmanager
async def command(**scripts: Script) -> AsyncIterator[Cluster]:
    """A cluster of this board, `pi-1`, and one board for each script."""
    async with AsyncExitStack() as stack:
        nodes = {name: (await stack.enter_async_context(run_peer(script))).address for name, script in scripts.items()}
        cluster = Cluster(ClusterConfig("pi-1", Address("127.0.0.1", 7998), nodes=nodes), answer_here)
        stack.push_async_callback(cluster.close)
        yield cluster


def codes(replies: tuple[NodeReply, ...]) -> dict[str, str]:
    """Board → its error's code, as who asked reads it off the line."""
    line = msgspec.json.encode(NodeReplies(replies))
    read = msgspec.json.decode(line, type=NodeReplies).replies
    return {reply.node: reply.error.code if reply.error else "" for reply in read}


def test_everybody_is_heard_though_some_are_bad() -> None:
    async def main() -> None:
        async with command(
            good=answer_all,
            slow=answer_never,
            flooding=flood,
            garbled=say(b"no\n"),
            large=say(LARGE),
            too=say(answer_line(1)),
        ) as cluster:
            begun = time.monotonic()
            replies = (await cluster.on((), ASK_STATUS)).replies
            assert time.monotonic() - begun < QUICK_S + 10
            assert codes(replies) == {
                "pi-1": "",
                "good": "",
                "slow": NODE_AWAY,
                "flooding": GARBLED,
                "garbled": GARBLED,
                "large": "",
                "too": "",
            }
            slow = next(reply for reply in replies if reply.node == "slow")
            assert slow.error is not None
            assert slow.error.text == "nothing within 5 s"
            assert msgspec.json.decode(replies[1].result, type=Status) == STATUS

    asyncio.run(main())


def test_two_large_answers_do_not_break_the_line() -> None:
    async def main() -> None:
        async with command(first=say(LARGE), second=say(LARGE), good=answer_all) as cluster:
            replies = await cluster.on((), ASK_STATUS)
            assert sorted(codes(replies.replies).values()) == ["", "", "", "too-large"]
            assert len(msgspec.json.encode(replies)) < MAX_LINE

    asyncio.run(main())


def test_what_takes_most_gives_way_first() -> None:
    replies = tuple(NodeReply(name, msgspec.Raw(b'"%s"' % (b"x" * size))) for name, size in [("a", 9), ("b", 900)])
    assert codes(fit(replies, MAX_ANSWER)) == {"a": "", "b": ""}
    assert codes(fit(replies, 400)) == {"a": "", "b": "too-large"}


def test_names_choose_and_unknown_ones_ask_nobody() -> None:
    async def main() -> None:
        async with command(**{"pi-2": answer_all, "pi-3": answer_all}) as cluster:
            chosen = await cluster.on(("pi-3", "pi-1", "pi-3"), ASK_STATUS)
            assert [reply.node for reply in chosen.replies] == ["pi-3", "pi-1"]
            with pytest.raises(
                UsageError, match=r"No board 'pi2'; known are: pi-1, pi-2, pi-3\. Did you mean 'pi-2'\?"
            ):
                await cluster.on(("pi-3", "pi2"), ASK_STATUS)
            with pytest.raises(UsageError, match="No board 'PI-3'"):
                await cluster.on(("PI-3",), ASK_STATUS)
            assert [row.node for row in (await cluster.channels()).channels] == ["pi-3"]

    asyncio.run(main())


def test_what_this_board_says_of_an_error_is_one_reply() -> None:
    async def main() -> None:
        async with command() as cluster:
            replies = await cluster.on((), msgspec.Raw(b'{"do":"ping","app_id":4}'))
            assert codes(replies.replies) == {"pi-1": "no-such-id"}

    asyncio.run(main())


@pytest.mark.parametrize("inner", [ListNodes(), OnNodes((), ASK_STATUS)])
def test_nothing_is_forwarded_twice(inner: msgspec.Struct) -> None:
    async def main() -> None:
        async with command(good=answer_all) as cluster:
            with pytest.raises(NotForwardedError):
                await cluster.on((), msgspec.Raw(msgspec.json.encode(inner)))
            with pytest.raises(UsageError):
                await cluster.on((), msgspec.Raw(b'{"do":"dance"}'))

    asyncio.run(main())


def test_every_request_has_its_row_or_stays_here() -> None:
    assert set(KINDS) == set(get_args(Request)) - set(get_args(ClusterRequest))
    assert {kind.result for kind in KINDS.values()} <= set(get_args(Result))
    assert find_kind(OnNodes((), ASK_STATUS)) is None


def test_a_log_is_waited_for_as_long_as_asked() -> None:
    waits = {wait_s: find_kind(ReadLog(2, wait_s=wait_s)) for wait_s in (0.0, 20.0, 1e9, -5.0)}
    assert [kind.deadline_s - QUICK_S for kind in waits.values() if kind] == [0, 20, 30, 0]


def test_nodes_and_channels() -> None:
    mesh = Channel("link", "pi-9", "fd4c::9", 0.01, 1, 2, 3.0, 4.0)

    async def main() -> None:
        async with command(good=answer_all, bad=say(b"no\n")) as cluster:
            here, good, bad = (await cluster.nodes()).nodes
            assert (here.name, here.address, here.rtt_s, here.status) == ("pi-1", "127.0.0.1:7998", 0.0, STATUS)
            assert good.status == STATUS
            assert good.rtt_s is not None
            assert 0 < good.rtt_s < 5
            assert (bad.status, bad.rtt_s) == (None, None)
            assert bad.error
            (row,) = (await cluster.channels()).channels
            assert (row.kind, row.node) == ("api", "good")
            assert row.received_bytes == len(answer_line(1))
        alone = Cluster(ClusterConfig("pi-1"), answer_here, sources=(lambda: [mesh],))
        assert [node.name for node in (await alone.nodes()).nodes] == ["pi-1"]
        assert (await alone.channels()).channels == (mesh,)

    asyncio.run(main())
