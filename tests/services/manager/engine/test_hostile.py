"""A node with good credentials and bad intentions, at a real nats-server: each thing it tries, and who is unharmed."""

import asyncio
import time
from ipaddress import IPv6Address
from pathlib import Path

import pytest

from services.keys import Identity, NodeId, new_seed
from services.manager.bus import Bus, Message
from services.manager.errors import BusError, ForbiddenError, WordsError
from services.manager.model import Label
from services.manager.server_config import client_url
from services.manager.signed import read_order, sign_order
from services.manager.subjects import direct_get, down, inbox, up
from tests.services.manager.engine.rack import Member, member, needs_server, run, running_engine, until

pytestmark = needs_server

NODE_ADDRESS = IPv6Address("fd53::1")
ROUTE = "0123456789abcdef01234567"
A_CONSUMER = b'{"stream_name":"KV_labels","config":{"deliver_subject":"%s","deliver_policy":"all","ack_policy":"none"}}'


def not_to_publish(me: NodeId, other: NodeId) -> list[str]:
    return [
        *(up(other, what) for what in ("record", "links", "ask")),
        *(up(me, "something"), f"up.{me}", f"up.{me}.record.more"),
        *(down(other, "label"), down(me, "label"), f"{inbox(other)}.x"),
        *(f"$KV.labels.{me}.{ROUTE}", f"$KV.nodes.{me}", f"$KV.labels.{other}.{ROUTE}", "$KV.leases.leader"),
        *(f"$JS.API.CONSUMER.CREATE.KV_{bucket}" for bucket in ("labels", "nodes")),
        *("$JS.API.CONSUMER.DURABLE.CREATE.KV_labels.mine", "$JS.API.CONSUMER.MSG.NEXT.KV_labels.mine"),
        *("$JS.API.STREAM.CREATE.mine", "$JS.API.STREAM.UPDATE.KV_labels", "$JS.API.STREAM.DELETE.KV_labels"),
        *("$JS.API.STREAM.PURGE.KV_nodes", "$JS.API.STREAM.INFO.KV_nodes", "$JS.API.STREAM.MSG.GET.KV_labels"),
        *("$JS.API.INFO", "$JS.API.STREAM.LIST", "$JS.API.DIRECT.GET.KV_labels", "$JS.API.DIRECT.GET.KV_leases"),
        *(direct_get("labels", f"{other}.{ROUTE}"), direct_get("nodes", other), direct_get("leases", "leader")),
        *("ledger.route", "$SYS.REQ.SERVER.PING", "$SYS.REQ.CLAIMS.UPDATE", "$JS.ACK.KV_labels.x.1.1.1.1.1"),
    ]


def not_to_hear(me: NodeId, other: NodeId) -> list[str]:
    return [
        *(">", "*.>", "up.>", up(me, "ask"), "down.>", f"down.{other}.>", "down.*.label", "_INBOX.>"),
        *(f"{inbox(other)}.>", f"{inbox(other)}.*", "_INBOX.*.*", "$KV.>", f"$KV.labels.{me}.>", "ledger.>", "$JS.>"),
        *("$SYS.>", "$JS.EVENT.>"),
    ]


def test_every_subject_but_its_own_is_refused(tmp_path: Path) -> None:
    async def test() -> None:
        async with (
            running_engine(tmp_path / "m") as (engine, manager, address),
            member(engine, address) as bad,
            member(engine, address) as other,
        ):
            me, you = bad.identity.node_id, other.identity.node_id
            order = sign_order(manager, you, 1 << 32, "label", Label(ROUTE, None, me, 1340))
            await engine.store.put_label(order)
            before = await engine.store.labels(you)
            for subject in not_to_publish(me, you):
                bad.told.clear()
                await bad.bus.publish(subject, A_CONSUMER % down(you, "label").encode(), f"{inbox(me)}.answer")
                await bad.bus.flush()
                await until(lambda: any("violation for publish" in text for text in bad.told), subject, 5)
            for subject in not_to_hear(me, you):
                bad.told.clear()
                await bad.bus.listen(subject, bad.hear)
                await bad.bus.flush()
                await until(lambda: any("violation for subscription" in text for text in bad.told), subject, 5)
            await prove_unharmed(engine.bus, other)
            assert bad.heard == [], "it heard what is not for it"
            assert await engine.store.labels(you) == before == [order]

    run(test())


async def prove_unharmed(bus: Bus, other: Member) -> None:
    """Only what the manager sends last has come: messages keep their order, so nothing before it did."""
    await bus.publish(down(other.identity.node_id, "proof"), b"the last")
    await until(lambda: bool(other.heard), "the manager's own message")
    assert [message.data for message in other.heard] == [b"the last"]


def test_its_own_is_its_own(tmp_path: Path) -> None:
    async def test() -> None:
        async with (
            running_engine(tmp_path / "m") as (engine, manager, address),
            member(engine, address) as node,
        ):
            me = node.identity.node_id
            assert await node.bus.read_own("labels", f"{me}.{ROUTE}") is None
            order = sign_order(manager, me, 7, "label", Label(ROUTE, None, me, 1340))
            await engine.store.put_label(order)
            entry = await node.bus.read_own("labels", f"{me}.{ROUTE}")
            assert entry is not None
            assert read_order(entry.value, me, {manager.node_id}, 6).revision == 7

            async def answer(node_id: NodeId, data: bytes) -> bytes:
                return node_id.encode() + data

            engine.intake.handle("ask", answer)
            assert await node.bus.ask(up(me, "ask"), b"!") == me.encode() + b"!"

            async def obey(message: Message) -> None:
                await node.bus.publish(message.reply, b"done")

            await node.bus.listen(f"down.{me}.>", obey)
            await node.bus.flush()
            assert await engine.bus.ask(down(me, "command"), b"do") == b"done"
            assert node.told == []

    run(test())


@pytest.mark.parametrize("where", ["down.{other}.label", "_INBOX.{other}.x", "$KV.labels.{other}.{route}"])
def test_a_reply_subject_makes_nobody_a_forger(tmp_path: Path, where: str) -> None:
    """The server does not look at reply subjects: the manager does, and a node believes signed orders alone."""

    async def test() -> None:
        async with (
            running_engine(tmp_path / "m") as (engine, manager, address),
            member(engine, address) as bad,
            member(engine, address) as other,
        ):
            me, you = bad.identity.node_id, other.identity.node_id
            asked = asyncio.Event()

            async def answer(_: NodeId, data: bytes) -> bytes:
                asked.set()
                return data

            engine.intake.handle("ask", answer)
            await engine.store.put_label(sign_order(manager, me, 7, "label", Label(ROUTE, None, you, 1340)))
            reply = where.format(other=you, route=ROUTE)
            await bad.bus.publish(up(me, "ask"), b"a forged order", reply)
            await asyncio.wait_for(asked.wait(), 10)
            await bad.bus.publish(direct_get("labels", f"{me}.{ROUTE}"), b"", reply)
            await bad.bus.flush()
            await engine.bus.publish(down(you, "proof"), b"the last")
            await until(lambda: any(message.data == b"the last" for message in other.heard), "the proof")
            assert all(message.data != b"a forged order" for message in other.heard)
            for message in other.heard:
                with pytest.raises(WordsError):
                    read_order(message.data, you, {manager.node_id}, 0)
            assert b"forged" not in b"".join(await engine.store.labels(you))

    run(test())


def test_foreign_and_run_out_credentials_are_refused(tmp_path: Path) -> None:
    async def test() -> None:
        async with running_engine(tmp_path / "m") as (engine, _, address):
            thief, node = Identity(new_seed()), Identity(new_seed())
            now = int(time.time())
            good = engine.node_token(node.node_id, now, None)
            tokens = {
                "another's token": (thief, good),
                "run out": (node, engine.node_token(node.node_id, now - 10**7, None)),
                "from elsewhere": (node, engine.node_token(node.node_id, now, NODE_ADDRESS)),
                "changed": (node, good[:-8] + "AAAAAAAA"),
                "its own maker's": (thief, type(engine.authority)(new_seed()).manager_token(thief.node_id)),
                "none": (node, ""),
            }
            for what, (identity, token) in tokens.items():
                bus = Bus(identity, lambda _: None)
                with pytest.raises(BusError) as error:
                    await bus.connect([client_url(address)], lambda token=token: token)  # type: ignore[misc]
                assert isinstance(error.value, ForbiddenError), (what, str(error.value))

    run(test())


def test_who_is_expelled_is_out_at_once_and_stays_out(tmp_path: Path) -> None:
    secret = new_seed()

    async def test() -> None:
        node = Identity(new_seed())
        async with running_engine(tmp_path / "m", secret) as (engine, manager, address):
            async with member(engine, address, node) as bad, member(engine, address) as other:
                await engine.store.put_label(sign_order(manager, node.node_id, 7, "label", Label(ROUTE, None, None, 1)))
                await engine.store.expel(node.node_id, "a test")
                await engine.store.forget(node.node_id)
                took = await until(lambda: not bad.bus.is_connected, "the connection's end", 2)
                assert took < 2
                assert await engine.store.labels(node.node_id) == []
                assert other.bus.is_connected
                await prove_unharmed(engine.bus, other)
            await refused(engine, address, node)
        async with running_engine(tmp_path / "m", secret) as (engine, _, address):
            await refused(engine, address, node)
            await engine.store.readmit(node.node_id)
            await until_welcome(engine, address, node)

    run(test())


async def refused(engine, address, node: Identity) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ForbiddenError):
        await Bus(node, lambda _: None).connect(
            [client_url(address)], lambda: engine.node_token(node.node_id, int(time.time()), None)
        )


async def until_welcome(engine, address, node: Identity) -> None:  # type: ignore[no-untyped-def]
    give_up = time.monotonic() + 30
    while True:
        try:
            async with member(engine, address, node):
                return
        except ForbiddenError:
            assert time.monotonic() < give_up, "who was admitted again is still refused"


def test_a_flood_is_stopped_and_others_are_served(tmp_path: Path) -> None:
    async def test() -> None:
        async with (
            running_engine(tmp_path / "m") as (engine, _, address),
            member(engine, address) as bad,
            member(engine, address) as other,
        ):
            me, you = bad.identity.node_id, other.identity.node_id

            async def answer(_: NodeId, data: bytes) -> bytes:
                return data

            engine.intake.handle("ask", answer)
            waits = []
            flooding = asyncio.create_task(flood(bad.bus, up(me, "links")))
            while bad.bus.is_connected:
                started = time.monotonic()
                assert await other.bus.ask(up(you, "ask"), b"still there?", 10) == b"still there?"
                waits.append(time.monotonic() - started)
                await asyncio.sleep(0.01)
            flooding.cancel()
            await asyncio.gather(flooding, return_exceptions=True)
            assert max(waits) < 10, f"the longest of {len(waits)} answers took {max(waits):.2f} s"
            await refused(engine, address, bad.identity)
            assert await other.bus.ask(up(you, "ask"), b"and now?") == b"and now?"

    run(test())


async def flood(bus: Bus, subject: str) -> None:
    while bus.is_connected:
        for _ in range(200):
            await bus.publish(subject, bytes(1024))
        await asyncio.sleep(0)
