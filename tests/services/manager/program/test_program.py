"""`manager run` itself and its commands, seen by a person and by viscript: a process at its real session address."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import psutil
import pytest

from services import seed_file
from services.addresses import session_address
from services.keys import Identity, new_seed
from services.manager import asks
from services.manager.invites import read_invitation_text
from tests.fakes.local_node import FakeLocalNode
from tests.house.tree import ROOT
from tests.services.manager.engine.rack import needs_server
from tests.services.manager.program.ends import Node, run
from tests.viscript.daemon import free_port
from viscript.signal import SignalServer
from viscript.signal.model import Address

pytestmark = [
    needs_server,
    pytest.mark.skipif(os.geteuid() != 0, reason="gives the loopback interface a session address"),
]

MAX_RSS = 60 << 20
READY_WITHIN_S = 60.0
CONFIG = """\
seed: {folder}/seed
folder: {folder}/kept
join: {{listen: "127.0.0.1:{port}", announce: "mesh.example:7997"}}
node: {folder}/node.sock
socket: {folder}/manager.sock
"""


class Place:
    """A folder with a seed and a manager.yaml, and the node beside; `port` is of this process alone."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        seed = new_seed()
        seed_file.create(folder / "seed", seed)
        self.identity = Identity(seed)
        self.config = folder / "manager.yaml"
        self.config.write_text(CONFIG.format(folder=folder, port=self.port))
        self.fake = FakeLocalNode(folder / "node.sock", self.identity.node_id)

    def environment(self, **more: str) -> dict[str, str]:
        kept = {key: value for key, value in os.environ.items() if not key.startswith("SIGNAL_")}
        return {**kept, "PYTHONPATH": str(ROOT), "MANAGER_SOCKET": str(self.folder / "manager.sock"), **more}

    def say(self, *command: str) -> subprocess.CompletedProcess[str]:
        words = (sys.executable, "-m", "services.manager", *command)
        return subprocess.run(
            words, cwd=ROOT, env=self.environment(), capture_output=True, text=True, timeout=60, check=False
        )

    async def told(self, *command: str) -> str:
        done = await asyncio.to_thread(self.say, *command)
        assert done.returncode == 0, done.stderr
        assert all(len(line) <= 80 for line in done.stdout.splitlines()) or "--json" in command or "invite" in command
        return done.stdout


@contextmanager
def session_address_here(identity: Identity) -> Iterator[None]:
    place = (f"{session_address(identity.node_id)}/128", "dev", "lo")
    subprocess.run(["ip", "-6", "addr", "add", *place], check=True)
    try:
        yield
    finally:
        subprocess.run(["ip", "-6", "addr", "del", *place], check=True)


@asynccontextmanager
async def program(place: Place, **environment: str) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "services.manager", "run", "--config", str(place.config)),
        cwd=ROOT,
        env=place.environment(**environment),
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def answered(place: Place) -> None:
    started = time.monotonic()
    while (await asyncio.to_thread(place.say, "status")).returncode != 0:
        assert time.monotonic() - started < READY_WITHIN_S, "the manager does not answer"
        await asyncio.sleep(0.2)


def test_the_program_serves_its_node_people_and_viscript(tmp_path: Path) -> None:
    place = Place(tmp_path)

    async def test() -> None:
        async with a_signal_server() as (signals, address), program(place, **signal_words(address)) as process:
            await signals.wait_connected(7, 30)
            await until_status(signals, "waits for the node here")
            await place.fake.start()
            await answered(place)
            own = Node(place.identity)
            await own.connect(await own.join(place.port))
            assert await own.ask(asks.Ping()) == asks.Done()
            await until_status(signals, "leads: 1 nodes, 0 links, 0 routes")
            await asked_by_a_person(place)
            assert place.identity.node_id[:8] in await signals.command(7, "nodes")
            assert "skywire:" in await signals.command(7, "invite", ("60", "1"))
            rss = psutil.Process(process.pid).memory_info().rss
            print(f"RSS {rss / 2**20:.1f} MiB")
            assert rss < MAX_RSS
            await own.close()
            process.send_signal(signal.SIGTERM)
            async with asyncio.timeout(30):
                assert await process.wait() == 0

    with session_address_here(place.identity):
        run(closed_after(test(), place.fake))
    assert not (tmp_path / "manager.sock").exists()


async def closed_after(test: Awaitable[None], fake: FakeLocalNode) -> None:
    try:
        await test
    finally:
        await fake.stop()


@asynccontextmanager
async def a_signal_server() -> AsyncIterator[tuple[SignalServer, Address]]:
    server = SignalServer()
    try:
        yield server, await server.start("127.0.0.1", 0)
    finally:
        await server.close()


def signal_words(address: Address) -> dict[str, str]:
    return {"SIGNAL_CLIENT": "true", "SIGNAL_SERVER_ADDRESS": str(address), "SIGNAL_CLIENT_ID": "7"}


async def until_status(signals: SignalServer, text: str) -> None:
    give_up = time.monotonic() + READY_WITHIN_S
    while text not in (said := (await signals.report(7)).status):
        assert time.monotonic() < give_up, said
        await asyncio.sleep(0.1)


async def asked_by_a_person(place: Place) -> None:
    me = place.identity.node_id
    status = json.loads(await place.told("status", "--json"))
    assert (status["works"], status["node_id"], status["join_at"]) == (True, me, "mesh.example:7997")
    assert "one manager alone" in await place.told("status")
    assert me[:8] in await place.told("nodes")
    text = json.loads(await place.told("invite", "--lasts", "2h", "--uses", "3", "--json"))
    assert read_invitation_text(text["text"])[:2] == ("mesh.example:7997", me)
    await place.told("name", me[:6], "Kitchen")
    assert json.loads(await place.told("names", "--json"))["names"] == [{"name": "kitchen", "node_id": me}]
    assert "kitchen" in await place.told("nodes")
    await place.told("name", "--remove", "kitchen")
    for command in ("links", "routes", "services"):
        assert json.loads(await place.told(command, "--json"))[command] == []
    for words, code, said in (
        (("expel", me), 1, "manager's own node"),
        (("route", "find", me, "0000"), 1, "no node here has an id or name"),
        (("route", "build", me), 2, "two nodes or more"),
        (("route", "find", me, me, "--policy", "hops=2"), 2, "unknown field"),
        (("invite", "--lasts", "soon"), 2, "'soon' is no time"),
        (("route", "close", "ff"), 1, "no routes have an id"),
    ):
        done = await asyncio.to_thread(place.say, *words)
        assert done.returncode == code, (words, done)
        assert said in done.stderr


def test_what_cannot_run_says_why(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.config.write_text("folder: /x\njoin: {admit: everyone}\n")
    done = place.say("run", "--config", str(place.config))
    assert (done.returncode, "manager.yaml:2: key 'join.admit'" in done.stderr) == (1, True), done.stderr
    place.config.write_text(f"seed: {tmp_path}/none\n")
    done = place.say("run", "--config", str(place.config))
    assert (done.returncode, "no seed at" in done.stderr) == (1, True), done.stderr
    done = place.say("nodes")
    assert (done.returncode, "no manager answers at" in done.stderr) == (1, True), done.stderr
