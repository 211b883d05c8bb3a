"""nats-server under the manager's hand: what listens, who may read its files, how it dies and comes back."""

import asyncio
import os
import signal
import stat
import sys
import time
from pathlib import Path

import msgspec
import psutil
import pytest

from services.keys import Identity, new_seed
from services.manager.errors import BusError, ConflictError, EngineError, JoinError, OlderError
from services.manager.invites import new_invitation
from services.manager.model import LedgerEntry
from services.manager.record import make_record, sign_record
from services.manager.server_config import CLIENT_PORT, config_text
from services.manager.subjects import up
from tests.house.tree import ROOT
from tests.services.manager.engine.rack import member, needs_server, new_address, run, running_engine, until

pytestmark = needs_server

RSS_MB = 25


def test_it_listens_on_its_address_alone_and_hides_its_files(tmp_path: Path) -> None:
    async def test() -> None:
        async with running_engine(tmp_path / "m") as (engine, _, address):
            assert engine.server.pid is not None
            server = psutil.Process(engine.server.pid)
            listening = {tuple(one.laddr) for one in server.net_connections("inet") if one.status == psutil.CONN_LISTEN}
            assert listening == {(str(address), CLIENT_PORT)}
            for path, mode in ((tmp_path / "m", 0o700), (tmp_path / "m" / "nats-server.conf", 0o600)):
                assert stat.S_IMODE(path.stat().st_mode) == mode
            assert not (tmp_path / "m" / ".nats-server.conf.new").exists()

    run(test())


def test_a_hundred_nodes_fit(tmp_path: Path) -> None:
    async def test() -> None:
        async with running_engine(tmp_path / "m") as (engine, _, address):
            assert engine.server.pid is not None
            server = psutil.Process(engine.server.pid)
            idle = server.memory_info().rss / 1e6
            nodes = [member(engine, address) for _ in range(100)]
            try:
                for node in nodes:
                    here = await node.__aenter__()
                    record = make_record(here.identity, 1, ("192.0.2.1:51820",), "1")
                    await engine.store.put_record(sign_record(here.identity, record))
                full = server.memory_info().rss / 1e6
            finally:
                for node in nodes:
                    await node.__aexit__(None, None, None)
            print(f"nats-server: {idle:.1f} MB idle, {full:.1f} MB with 100 nodes")
            assert full <= RSS_MB

    run(test())


def test_it_comes_back_and_everybody_with_it(tmp_path: Path) -> None:
    async def test() -> None:
        async with running_engine(tmp_path / "m") as (engine, _, address), member(engine, address) as node:
            record = make_record(node.identity, 3, (), "1")
            await engine.store.put_record(sign_record(node.identity, record))

            async def answer(_: str, data: bytes) -> bytes:
                return data

            engine.intake.handle("ask", answer)
            first = engine.server.pid
            assert first is not None
            os.kill(first, signal.SIGKILL)
            await until(lambda: engine.server.pid not in {None, first}, "another process")
            await engine.server.wait_ready(30)
            await until(lambda: node.bus.is_connected and engine.bus.is_connected, "both are back")
            assert await engine.store.record(node.identity.node_id) == record
            await until_asked(node.bus, node.identity)

    run(test())


async def until_asked(bus, node: Identity) -> None:  # type: ignore[no-untyped-def]
    give_up = time.monotonic() + 30
    while True:
        try:
            assert await bus.ask(up(node.node_id, "ask"), b"?", 2) == b"?"
            return
        except BusError:
            assert time.monotonic() < give_up
            await asyncio.sleep(0.1)


def test_it_ends_with_a_manager_that_is_killed(tmp_path: Path) -> None:
    async def test() -> None:
        program = Path(__file__).with_name("manager_process.py")
        seeds = [new_seed().reveal().hex() for _ in range(2)]
        manager = await asyncio.create_subprocess_exec(
            *(sys.executable, str(program), *seeds, str(new_address()), str(tmp_path / "m")),
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            stdout=asyncio.subprocess.PIPE,
        )
        assert manager.stdout is not None
        async with asyncio.timeout(60):
            ready = await manager.stdout.readline()
        server = psutil.Process(int(ready.split()[1]))
        assert server.name() == "nats-server"
        manager.kill()
        await manager.communicate()
        await until(lambda: not server.is_running() or server.status() == psutil.STATUS_ZOMBIE, "the server's end", 10)

    run(test())


def test_what_hinders_it_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def test() -> None:
        monkeypatch.setattr("services.manager.nats_server.READY_WITHIN_S", 3.0)
        async with running_engine(tmp_path / "m") as (_, _, address):
            with pytest.raises(EngineError, match="address already in use"):
                async with running_engine(tmp_path / "n", address=address):
                    pass

    run(test())


def test_the_configuration_is_plain_json_without_other_doors(tmp_path: Path) -> None:
    async def test() -> None:
        async with running_engine(tmp_path / "m") as (engine, _, _):
            config = msgspec.json.decode(config_text(engine._settings))
            others = {"http", "http_port", "https", "monitor_port", "websocket", "mqtt", "gateway", "leafnodes"}
            assert not others & set(config)
            assert "cluster" not in config

    run(test())


def test_the_store_holds_what_is_put_and_no_less_than_that(tmp_path: Path) -> None:
    async def test() -> None:
        async with running_engine(tmp_path / "m") as (engine, _, _):
            store, node = engine.store, Identity(new_seed())
            old, new = (sign_record(node, make_record(node, sequence, (), "1")) for sequence in (1, 2))
            await store.put_record(new)
            with pytest.raises(OlderError):
                await store.put_record(old)
            assert await store.signed_record(node.node_id) == new
            token, invitation = new_invitation(1000, 60, 1)
            await store.put_invitation(invitation)
            with pytest.raises(ConflictError):
                await store.put_invitation(invitation)
            await store.spend_invitation(token, 1001)
            with pytest.raises(JoinError, match="used up"):
                await store.spend_invitation(token, 1001)
            entry = LedgerEntry("once-1", "route", node.node_id, 1, msgspec.Raw(b"{}"))
            place = await store.append(entry)
            assert await store.append(entry) == place
            assert await store.ledger_entry(place) == entry
            assert await store.ledger_entry(place + 1) is None
            await store.tidy()

    run(test())
