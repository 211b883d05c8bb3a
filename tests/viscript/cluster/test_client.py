"""One board and its connection: kept, made anew, and given up without harm to who asks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from tests.viscript.cluster.peers import (
    Peer,
    Script,
    answer_all,
    answer_line,
    answer_never,
    drip,
    flood,
    read_id,
    run_peer,
    say,
)
from viscript.api.model import NODE_AWAY, AskStatus, Reply, RunningApp, Start, Status
from viscript.cluster.client import Board
from viscript.cluster.kinds import Kind
from viscript.cluster.line import GARBLED
from viscript.signal.model import Address

PATIENT = Kind(Status, 20, again=True)
HASTY = Kind(Status, 0.3, again=True)


@asynccontextmanager
async def meet(script: Script) -> AsyncIterator[tuple[Board, Peer]]:
    async with run_peer(script) as peer:
        board = Board("pi-2", peer.address, "127.0.0.1")
        try:
            yield board, peer
        finally:
            await board.close()


def run(test: Callable[[Board, Peer], Awaitable[None]], script: Script) -> None:
    async def main() -> None:
        async with meet(script) as (board, peer):
            await test(board, peer)

    asyncio.run(main())


def code(reply: Reply) -> str:
    return reply.error.code if reply.error is not None else ""


async def until_well(board: Board) -> None:
    """Ask until it answers, as somebody at a shell would."""
    for _ in range(400):
        if not code(await board.ask(AskStatus(), PATIENT)):
            return
        await asyncio.sleep(0.05)
    pytest.fail("the board was not found again")


def test_many_calls_share_one_connection() -> None:
    async def test(board: Board, peer: Peer) -> None:
        replies = await asyncio.gather(*(board.ask(AskStatus(), PATIENT) for _ in range(20)))
        assert [code(reply) for reply in replies] == [""] * 20
        channel = board.read_channel()
        assert channel is not None
        assert peer.dialled == 1
        assert (channel.kind, channel.node, channel.address) == ("api", "pi-2", str(peer.address))
        assert channel.rtt_s is not None
        assert 0 < channel.rtt_s < 1
        assert channel.received_bytes == sum(len(answer_line(call_id)) for call_id in range(1, 21))
        assert channel.sent_bytes > 20 * len('{"id":1}')

    run(test, answer_all)


def test_replies_in_another_order_find_their_callers() -> None:
    async def answer_backwards(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first, second = await read_id(reader), await read_id(reader)
        for call_id in (second, first):
            writer.write(answer_line(call_id, Status(str(call_id), 1, 1.0, 0, 0, 0, "", "")))
        await reader.read(-1)

    async def test(board: Board, _peer: Peer) -> None:
        replies = await asyncio.gather(*(board.ask(AskStatus(), PATIENT) for _ in range(2)))
        assert [b'"version":"1"' in bytes(replies[0].result), b'"version":"2"' in bytes(replies[1].result)] == [
            True
        ] * 2

    run(test, answer_backwards)


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        (answer_never, NODE_AWAY),
        (drip, NODE_AWAY),
        (flood, GARBLED),
        (say(b"\n"), GARBLED),
        (say(b"no json\n"), GARBLED),
        (say(b"\xff\xfe\n"), GARBLED),
        (say(b"[" * 100_000 + b"\n"), GARBLED),
        (say(b'{"id":1}\n'), GARBLED),
        (say(b'{"id":1,"result":5}\n'), GARBLED),
        (say(b'{"id":1,"result":{"version":"\xff"}}\n'), GARBLED),
        (say(answer_line(2)), GARBLED),
        (say(b'{"id":0,"error":{"code":"refused","text":"no"}}\n'), "refused"),
    ],
)
def test_a_bad_answer_is_an_error_and_no_more(script: Script, expected: str) -> None:
    async def test(board: Board, _peer: Peer) -> None:
        assert code(await board.ask(AskStatus(), Kind(Status, 3))) == expected

    run(test, script)


def test_fields_of_a_newer_board_are_left_out() -> None:
    async def test(board: Board, _peer: Peer) -> None:
        newer = await board.ask(AskStatus(), PATIENT)
        assert b"colour" not in bytes(newer.result)
        assert code(newer) == ""

    given = answer_line(1).replace(b'"version"', b'"colour":"red","version"')
    assert b"colour" in given
    run(test, say(given))


def test_the_time_a_board_thinks_is_no_part_of_the_round_trip() -> None:
    async def think(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            call_id = await read_id(reader)
            await asyncio.sleep(0.03)  # less than the kernel's delayed acknowledgement
            writer.write(answer_line(call_id))

    async def test(board: Board, _peer: Peer) -> None:
        for _ in range(20):
            await board.ask(AskStatus(), PATIENT)
        rtt_s = board.read_rtt_s()
        assert rtt_s is not None
        assert 0 < rtt_s < 0.02

    run(test, think)


def test_a_late_reply_harms_nobody() -> None:
    async def answer_the_first_last(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        late = await read_id(reader)
        writer.write(answer_line(await read_id(reader)))
        third = await read_id(reader)
        writer.writelines([answer_line(late), answer_line(third)])
        await reader.read(-1)

    async def test(board: Board, peer: Peer) -> None:
        first, second = await asyncio.gather(board.ask(AskStatus(), HASTY), board.ask(AskStatus(), PATIENT))
        assert (code(first), code(second)) == (NODE_AWAY, "")
        assert code(await board.ask(AskStatus(), PATIENT)) == ""
        assert peer.dialled == 1

    run(test, answer_the_first_last)


def test_a_reply_is_taken_once() -> None:
    async def test(board: Board, _peer: Peer) -> None:
        assert code(await board.ask(AskStatus(), PATIENT)) == ""
        assert code(await board.ask(AskStatus(), Kind(Status, 20))) == GARBLED

    run(test, say(answer_line(1), answer_line(1)))


def test_a_board_started_anew_is_asked_again_when_that_does_no_harm() -> None:
    async def answer_one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer_line(await read_id(reader)))
        await read_id(reader)  # and is gone with the second call

    async def test(board: Board, peer: Peer) -> None:
        for dialled in (1, 2):
            assert code(await board.ask(AskStatus(), PATIENT)) == ""
            assert peer.dialled == dialled
        lost = await board.ask(Start("x"), Kind(RunningApp, 20))
        assert code(lost) == NODE_AWAY
        assert peer.dialled == 2

    run(test, answer_one)


def test_a_dead_board_is_left_alone_for_a_moment_and_found_again() -> None:
    async def test(board: Board, peer: Peer) -> None:
        port = peer.address.port
        await peer.stop()
        for _ in range(6):
            assert code(await board.ask(AskStatus(), PATIENT)) == NODE_AWAY
        await peer.start(port)
        await until_well(board)
        assert peer.dialled == 1

    run(test, answer_all)


def test_a_board_that_refuses_is_not_dialled_for_every_call() -> None:
    async def test(board: Board, peer: Peer) -> None:
        for _ in range(30):
            assert code(await board.ask(AskStatus(), PATIENT)) == "refused"
        assert peer.dialled < 15

    run(test, say(b'{"id":0,"error":{"code":"refused","text":"no"}}\n'))


def test_a_silent_board_gets_a_new_connection() -> None:
    async def test(board: Board, peer: Peer) -> None:
        assert code(await board.ask(AskStatus(), HASTY)) == NODE_AWAY
        peer.script = answer_all
        await until_well(board)
        assert peer.dialled == 2

    run(test, answer_never)


def test_a_board_is_called_from_the_address_it_knows_us_by() -> None:
    callers = []

    async def note_caller(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        callers.append(writer.get_extra_info("peername")[0])
        await answer_all(reader, writer)

    async def main() -> None:
        async with run_peer(note_caller) as peer:
            board = Board("pi-2", peer.address, "127.0.0.2")
            await board.ask(AskStatus(), PATIENT)
            await board.close()

    asyncio.run(main())
    assert callers == ["127.0.0.2"]


def test_an_address_that_is_not_ours_is_told() -> None:
    async def main() -> None:
        board = Board("pi-2", Address("127.0.0.1", 9), "198.51.100.1")
        reply = await board.ask(AskStatus(), PATIENT)
        assert reply.error is not None
        assert "127.0.0.1:9" in reply.error.text
        assert "nobody listens" not in reply.error.text
        await board.close()

    asyncio.run(main())
