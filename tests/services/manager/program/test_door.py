"""Who gets in at a real door, who does not, and what strangers cost."""

import asyncio
import contextlib
import time
from pathlib import Path

import pytest

from services.keys import Identity, new_seed
from services.manager.admission import NodeEnd
from services.manager.config import Join
from services.manager.errors import JoinError
from services.manager.invites import MAX_CONNECTIONS, new_invitation
from services.manager.manager import Manager
from services.manager.record import make_record, sign_record
from tests.services.manager.engine.rack import needs_server, until
from tests.services.manager.program.ends import Node, knock, nodes, run, running_manager

pytestmark = needs_server

INVITED = Join(listen="127.0.0.1:0", admit="invited")


def a_node() -> Node:
    return Node(Identity(new_seed()))


async def invitation(manager: Manager, uses: int, lasts_s: int = 60, *, ago_s: int = 0) -> str:
    token, words = new_invitation(int(time.time()) - ago_s, lasts_s, uses)
    await manager.engine.store.put_invitation(words)
    return token


def test_a_node_joins_an_open_network(tmp_path: Path) -> None:
    async def test() -> None:
        async with running_manager(tmp_path) as (manager, fake), nodes(manager, 1) as (node,):
            assert node.managers == (manager.me,)
            assert fake.members == {node.id: ("127.0.0.1", "192.0.2.7")}
            assert fake.renewed == [node.id]
            entry = await manager.engine.store.ledger_entry(2)
            assert entry is not None
            assert (entry.what, entry.of) == ("admitted", node.id)

    run(test())


def test_an_invitation_is_spent_once_for_each_and_members_come_back_without(tmp_path: Path) -> None:
    async def test() -> None:
        async with running_manager(tmp_path, INVITED) as (manager, _):
            token = await invitation(manager, 2)
            first, second, third = a_node(), a_node(), a_node()
            await first.join(manager.door.port, token)
            await first.join(manager.door.port)
            await first.join(manager.door.port, token)
            await second.join(manager.door.port, token)
            for wrong, said in (
                (token, "used up"),
                ("", "by invitation"),
                (token[:-1] + "x", "not known"),
                ("nonsense", "not known"),
                (await invitation(manager, 1, 10, ago_s=60), "run out"),
            ):
                with pytest.raises(JoinError, match=said):
                    await third.join(manager.door.port, wrong)
            assert third.id not in manager.registry.nodes
            assert await manager.engine.store.record(third.id) is None

    run(test())


def test_one_use_is_not_spent_twice_by_many_at_once(tmp_path: Path) -> None:
    async def test() -> None:
        async with running_manager(tmp_path, INVITED) as (manager, _):
            token = await invitation(manager, 2)
            came = await asyncio.gather(
                *(a_node().join(manager.door.port, token) for _ in range(6)), return_exceptions=True
            )
            assert sum(not isinstance(one, BaseException) for one in came) == 2, came
            assert all(isinstance(one, JoinError) for one in came if isinstance(one, BaseException)), came

    run(test())


def test_by_name_and_while_the_button_is_pressed(tmp_path: Path) -> None:
    named = a_node()
    join = Join(listen="127.0.0.1:0", allowed=(named.id,))

    async def test() -> None:
        async with running_manager(tmp_path, join) as (manager, _):
            await named.join(manager.door.port)
            other, late = a_node(), a_node()
            manager.gatekeeper.pair(30)
            await other.join(manager.door.port)
            manager.gatekeeper.pair(0)
            with pytest.raises(JoinError, match="by invitation"):
                await late.join(manager.door.port)
            await manager.engine.store.allow(late.id)
            await until(lambda: late.id in manager.registry.allowed, "it is allowed")
            await late.join(manager.door.port)
            await manager.expulsion.expel(named.id, "a test")
            with pytest.raises(JoinError, match="was expelled"):
                await named.join(manager.door.port)

    run(test())


def test_an_older_record_and_a_fat_one_are_refused(tmp_path: Path) -> None:
    async def test() -> None:
        async with running_manager(tmp_path) as (manager, _):
            node = a_node()
            node.sequence = 7
            await node.join(manager.door.port)
            node.sequence = 6
            with pytest.raises(JoinError, match="record 6, and 7 is known"):
                await node.join(manager.door.port)
            record = make_record(node.identity, 8, ("192.0.2.1:51820",) + ("x" * 80,) * 15, "1", wires=("y" * 80,) * 16)
            with pytest.raises(JoinError, match="at most 2048"):
                await knock(manager.door.port, NodeEnd(node.identity, sign_record(node.identity, record)))
            assert manager.registry.nodes[node.id].record.sequence == 7

    run(test())


def test_a_recorded_join_opens_nothing_again(tmp_path: Path) -> None:
    async def test() -> None:
        async with running_manager(tmp_path) as (manager, fake):
            node = a_node()
            sent = await recorded_join(manager.door.port, NodeEnd(node.identity, node.record()))
            await manager.expulsion.expel(node.id, "a test")
            await until(lambda: node.id not in fake.members, "the node here forgets it")
            answer = await say(manager.door.port, sent)
            assert b"answers another challenge" in answer
            assert node.id not in fake.members

    run(test())


async def recorded_join(port: int, end: NodeEnd) -> bytes:
    """All that the node sent."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    sent = end.begin()
    writer.write(sent)
    admitted = None
    while admitted is None:
        send, admitted = end.feed(await reader.read(4096))
        sent += send
        writer.write(send)
    writer.close()
    return sent


async def say(port: int, data: bytes) -> bytes:
    """What the manager answers, until it hangs up."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    heard = b""
    with contextlib.suppress(ConnectionError):
        writer.write(data)
        async with asyncio.timeout(20):
            while chunk := await reader.read(4096):
                heard += chunk
    writer.transport.abort()
    return heard


def test_noise_and_silence_keep_nobody_out(tmp_path: Path) -> None:
    async def test() -> None:
        async with running_manager(tmp_path) as (manager, _):
            port = manager.door.port
            assert b"REQUEST" in await say(port, b"\0\0\0\1\3")
            assert b"of 1195725856 bytes" in await say(port, b"GET / HTTP/1.0\r\n\r\n")
            assert b"kind 9" in await say(port, b"\0\0\0\1\x09" * 10)
            silent = [await asyncio.open_connection("127.0.0.1", port) for _ in range(10)]
            await a_node().join(port)
            assert await manager.local.status() is not None
            for _, writer in silent:
                writer.transport.abort()

    run(test())


def test_a_crowd_at_the_door_is_turned_away_and_the_bus_serves_on(tmp_path: Path) -> None:
    async def test() -> None:
        async with running_manager(tmp_path) as (manager, _), nodes(manager, 1) as (node,):
            crowd = await asyncio.gather(
                *(asyncio.open_connection("127.0.0.1", manager.door.port) for _ in range(3 * MAX_CONNECTIONS)),
                return_exceptions=True,
            )
            assert node.bus is not None
            for _ in range(5):
                await node.bus.flush()
            writers = [one[1] for one in crowd if not isinstance(one, BaseException)]
            hung_up = await asyncio.gather(*(hangs_up(one[0]) for one in crowd if not isinstance(one, BaseException)))
            assert sum(hung_up) >= 2 * MAX_CONNECTIONS, "one address alone has only so many tries"
            assert manager.door.refusals.counts["full"] >= 2 * MAX_CONNECTIONS
            for writer in writers:
                writer.transport.abort()
            await asyncio.sleep(2)  # one more try a second
            await a_node().join(manager.door.port)

    run(test())


async def hangs_up(reader: asyncio.StreamReader) -> bool:
    try:
        async with asyncio.timeout(1):
            return b"too many join at once" in await reader.read()
    except TimeoutError:
        return False
    except ConnectionError:
        return True


def test_before_its_own_node_and_without_it_nobody_is_admitted(tmp_path: Path) -> None:
    async def test() -> None:
        async with running_manager(tmp_path) as (manager, fake):
            node = a_node()
            await fake.stop()
            with pytest.raises(JoinError, match="own node is away"):
                await node.join(manager.door.port)
            await fake.start()
            await node.join(manager.door.port)
            manager.registry.nodes.pop(manager.me)
            with pytest.raises(JoinError, match="has not joined it yet"):
                await a_node().join(manager.door.port)

    run(test())


def test_a_node_that_was_started_anew_is_told_all_again(tmp_path: Path) -> None:
    async def test() -> None:
        async with running_manager(tmp_path) as (manager, fake), nodes(manager, 2) as (a, b):
            await fake.forget()
            await until(lambda: fake.members.keys() == {a.id, b.id}, "both are members again")
            assert fake.renewed == [a.id, b.id], "their clocks were not forgotten for that"
            assert manager.members.problem == ""

    run(test())
