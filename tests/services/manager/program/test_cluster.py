"""Three managers, and nodes at all of them: who leads is killed in the middle of a request, and everything goes on."""

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from services import seed_file
from services.keys import Identity, new_seed
from services.manager import asks
from services.manager.errors import BusError
from tests.house.tree import ROOT
from tests.services.manager.engine.rack import needs_server, new_address, until
from tests.services.manager.program.ends import Node, run
from tests.services.manager.program.test_desk import FAR, new_routes, signed_request

pytestmark = needs_server

START_WITHIN_S = 90.0
GO_ON_WITHIN_S = 60.0
"""NATS chooses a stream's leader after 4 to 9 s, and may have to choose twice; then the lease is taken."""

MAX_RSS = 60 << 20


class Process:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.seed, self.address = new_seed(), new_address()
        self.id = Identity(self.seed).node_id
        self.port = self.server_pid = 0
        self.leads = False

    async def start(self, secret: Path, others: list["Process"]) -> None:
        self.folder.mkdir()
        pairs = [word for other in others for word in (other.id, str(other.address))]
        self.process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.services.manager.program.manager_process"),
            *(str(self.folder), str(secret), self.seed.reveal().hex(), str(self.address), *pairs),
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            stdout=asyncio.subprocess.PIPE,
        )
        self.reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            what, *rest = line.decode().split()
            if what == "ready":
                self.port, self.server_pid = map(int, rest)
            self.leads = what == "leads" or (what == "ready" and self.leads)
        self.leads = False

    async def kill(self) -> None:
        if self.process.returncode is None:
            self.process.kill()
        await self.process.wait()
        await self.reading

    async def command(self, *words: str) -> Any:
        def say() -> subprocess.CompletedProcess[str]:
            return subprocess.run(
                [sys.executable, "-m", "services.manager", *words, "--json"],
                cwd=ROOT,
                env=os.environ | {"PYTHONPATH": str(ROOT), "MANAGER_SOCKET": str(self.folder / "manager.sock")},
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )

        done = await asyncio.to_thread(say)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


@asynccontextmanager
async def three(folder: Path) -> AsyncIterator[list[Process]]:
    secret = folder / "secret"
    seed_file.create(secret, new_seed())
    processes = [Process(folder / str(number)) for number in range(3)]
    try:
        for one in processes:
            await one.start(secret, [other for other in processes if other is not one])
        await until(lambda: all(one.port for one in processes), "three managers are ready", START_WITHIN_S)
        await until(lambda: any(one.leads for one in processes), "one leads", START_WITHIN_S)
        yield processes
    finally:
        await asyncio.gather(*(one.kill() for one in processes))


@asynccontextmanager
async def joined(processes: list[Process], count: int) -> AsyncIterator[list[Node]]:
    made = [Node(Identity(new_seed())) for _ in range(count)]
    try:
        for number, node in enumerate(made):
            admitted = await node.join(processes[number % 3].port)
            assert len(admitted.bus_urls) == len(admitted.managers) == 3
            await node.connect(admitted)
        yield made
    finally:
        await asyncio.gather(*(node.close() for node in made))


async def until_goes(ask: Callable[[], Awaitable[asks.Answer]], kind: type[asks.Answer], what: str) -> Any:
    """Asks as a node does that heard nothing: again."""
    give_up, said = time.monotonic() + GO_ON_WITHIN_S, ""
    while time.monotonic() < give_up:
        try:
            answer = await ask()
        except BusError as error:
            said = str(error)
        else:
            if isinstance(answer, kind):
                return answer
            said = str(answer)
        await asyncio.sleep(0.2)
    raise AssertionError(f"not within {GO_ON_WITHIN_S:g} s: {what}; {said}")


async def say_links(a: Node, b: Node, c: Node, d: Node) -> None:
    for node, others in ((a, (b, c)), (d, (b, c)), (b, (a, d)), (c, (a, d))):
        await node.say_links(*others)


async def open_session(a: Node, d: Node) -> tuple[str, ...]:
    begun = await until_goes(lambda: a.ask(asks.Begin(d.id, "socks", new_routes(), FAR), 5), asks.Begun, "begin")
    await until_goes(lambda: a.ask(asks.Open(signed_request(a, d, begun)), 5), asks.Opened, "open")
    return tuple(path.route for path in begun.paths)


@pytest.mark.timeout(300)
def test_the_leader_is_killed_in_the_middle_of_a_request(tmp_path: Path) -> None:
    async def test() -> None:
        async with three(tmp_path) as processes, joined(processes, 4) as (a, b, c, d):
            await say_links(a, b, c, d)
            await b.say_services("socks")
            kept = await open_session(a, d)
            leader = next(one for one in processes if one.leads)
            left = [one for one in processes if one is not leader]
            killed = await half_open(a, c, d, leader)
            await until(lambda: any(one.leads for one in left), "another leads", GO_ON_WITHIN_S)
            print(f"another leads after {time.monotonic() - killed:.1f} s")
            now = next(one for one in left if one.leads)
            await until_undone(now, kept, (a, b, c, d))
            assert (await open_session(a, d)) != kept, "sessions are opened again"
            print(f"a session is opened after {time.monotonic() - killed:.1f} s")
            found = await until_goes(lambda: a.ask(asks.Find("socks"), 5), asks.Found, "the directory")
            assert len(found.services) == 1
            fresh = Node(Identity(new_seed()))
            await fresh.join(left[0].port)
            await put_out(fresh, left)
            for one in left:
                status = await one.command("status")
                assert status["works"], status
                assert status["leader"] == now.id

    run(test(), 280)


async def half_open(a: Node, c: Node, d: Node, leader: Process) -> float:
    """Everyone but one hop has its labels when the leader dies; the moment of that."""
    c.is_deaf.add(asks.LABEL)
    before = set(a.labels)
    begun = await until_goes(lambda: a.ask(asks.Begin(d.id, "socks", new_routes(), FAR), 5), asks.Begun, "begin")
    asking = asyncio.create_task(a.ask(asks.Open(signed_request(a, d, begun)), 5))
    await a.until(lambda: len(set(a.labels) - before) == 2, "labels are being laid")
    await asyncio.sleep(0.5)  # for what is written beside; the deaf hop is waited for longer
    await leader.kill()
    killed = time.monotonic()
    with pytest.raises(BusError):
        await asking
    c.is_deaf.clear()
    return killed


async def until_undone(leader: Process, kept: tuple[str, ...], everyone: tuple[Node, ...]) -> None:
    give_up = time.monotonic() + GO_ON_WITHIN_S
    while {row["route"] for row in (await leader.command("routes"))["routes"]} != set(kept):
        assert time.monotonic() < give_up, "what was half laid is still there"
        await asyncio.sleep(0.2)
    for node in everyone:
        await node.until(lambda node=node: node.labels.keys() <= set(kept), "hops drop it")  # type: ignore[misc]


async def put_out(bad: Node, left: list[Process]) -> None:
    """At one manager, known at the other."""
    for one in left:
        await until_row(one, bad, is_there=True)
    await left[1].command("expel", bad.id)
    for one in left:
        await until_row(one, bad, is_there=False)


async def until_row(one: Process, node: Node, *, is_there: bool) -> None:
    give_up = time.monotonic() + GO_ON_WITHIN_S
    while (node.id in {row["node_id"] for row in (await one.command("nodes"))["nodes"]}) != is_there:
        assert time.monotonic() < give_up, (node.id, is_there)
        await asyncio.sleep(0.1)
