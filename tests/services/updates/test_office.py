"""A person at the manager's socket: bundles that come in and those that do not, roll-outs that begin, are refused, are
steered, and outlive the manager. The nodes are ends on a real bus that obey and say how they stand.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import pytest

from services.keys import Identity, NodeId, new_seed
from services.manager import asks
from services.manager.client import ask
from services.manager.errors import ManagerAwayError, ManagerError, RefusedError
from services.manager.manager import Manager
from services.manager.signed import Order
from services.updates import office
from services.updates.api_words import GetUpdate, PutChunk, StartUpdate, SteerUpdate, Took, Update
from services.updates.errors import BundleError
from services.updates.model import BoardState, Install
from services.updates.sending import send
from tests.house.tree import ROOT
from tests.services.manager.engine.rack import needs_server
from tests.services.manager.program.ends import Node, run, running_manager
from tests.services.updates.bundles import make_bundle, make_key
from viscript.errors import RefusedError as ViscriptRefusedError
from viscript.errors import UsageError
from viscript.shell import rollout

pytestmark = needs_server

OLD, NEW = "1.0", "2.0"


@dataclass
class BoardNode(Node):
    """Obeys an update, and says what it is told to say."""

    installs: list[Install] = field(default_factory=list)

    def _obey(self, order: Order) -> asks.Reply:
        if order.kind != asks.UPDATE or order.kind in self.refuses:
            return super()._obey(order)
        self.installs.append(msgspec.json.decode(order.body, type=Install))
        return asks.Reply()

    async def say_board(self, **facts: Any) -> None:
        state = BoardState(**{"version": OLD, "slot": "A", "has_door": True, **facts})
        assert await self.ask(asks.Board(state)) == asks.Done()

    async def say_doing(self, doing: str, **facts: Any) -> None:
        await self.say_board(rollout=self.installs[-1].rollout, doing=doing, **facts)


@asynccontextmanager
async def boards(manager: Manager, count: int) -> AsyncIterator[list[BoardNode]]:
    made = [BoardNode(Identity(new_seed())) for _ in range(count)]
    made.sort(key=lambda node: node.id)
    try:
        for node in made:
            await node.connect(await node.join(manager.door.port))
            await node.say_links()
            await node.say_board()
        yield made
    finally:
        await asyncio.gather(*(node.close() for node in made))


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bundle")
    return make_bundle(folder / "a.raucb", NEW, make_key(folder))


@dataclass
class Person:
    socket: Path

    async def ask(self, request: msgspec.Struct, kind: Any = Update) -> Any:
        return await asyncio.to_thread(ask, request, kind, self.socket)

    async def send(self, source: Path | str) -> str:
        return await asyncio.to_thread(send, str(source), path=self.socket)

    async def until(self, is_so: Callable[[Update], object]) -> Update:
        for _ in range(600):
            if is_so(update := await self.ask(GetUpdate())):
                return update  # type: ignore[no-any-return]
            await asyncio.sleep(0.05)  # nobody tells a socket's client
        raise AssertionError(update)

    async def refused(self, request: msgspec.Struct, said: str) -> None:
        with pytest.raises(RefusedError, match=said):
            await self.ask(request)


def stages(update: Update) -> list[str]:
    return [row.stage for row in update.boards if row.stage]


def test_a_roll_out_from_its_file_to_its_end(tmp_path: Path, bundle: Path) -> None:
    async def test() -> None:
        async with running_manager(tmp_path) as (manager, _), boards(manager, 2) as (a, b):
            person = Person(tmp_path / "manager.sock")
            await person.until(lambda update: [row.version for row in update.boards] == [OLD, OLD])
            started = await person.ask(StartUpdate(await person.send(bundle), nodes=(a.id, b.id)))
            assert (started.version, started.size) == (NEW, len(await asyncio.to_thread(bundle.read_bytes)))
            await a.until(lambda: bool(a.installs), "a is told")
            assert a.installs[0].manager == manager.me
            assert b.installs == []
            await person.refused(StartUpdate(), "is running, with 1 boards under way: wait")
            with pytest.raises(RefusedError, match="is running"):
                await person.send(bundle)
            await a.say_doing("installing", percent=40, text="writing slot B")
            update = await person.until(lambda update: stages(update) == ["installing", "waiting"])
            assert update.boards[0].why == "40 % writing slot B"
            await person.ask(SteerUpdate("pause"))
            await a.say_doing("installed")
            await a.say_board(version=NEW, slot="B", trial=True)
            await person.until(lambda update: stages(update) == ["on trial", "waiting"])
            await a.say_board(version=NEW, slot="B")
            assert (await person.until(lambda update: stages(update) == ["done", "waiting"])).course == "paused"
            assert b.installs == []
            await person.ask(SteerUpdate("resume"))
            await b.until(lambda: bool(b.installs), "b is told")
            await b.say_board(version=OLD, rolled_back="viscript did not answer")
            await b.say_doing("refused", text="no room")
            update = await person.until(lambda update: update.course == "stopped")
            assert "no room" in update.why
            await person.refused(SteerUpdate("resume"), "is stopped: it cannot resume")
            await person.refused(StartUpdate(nodes=("nobody",)), "'nobody'")
            await check_again(person, a, b, manager.me)

    run(test())


async def check_again(person: Person, a: BoardNode, b: BoardNode, me: NodeId) -> None:
    """With the bundle that is there already; a node may refuse the order itself."""
    b.refuses[asks.UPDATE] = "this is no board"
    await b.say_board()
    await person.ask(StartUpdate(percent=100))
    update = await person.until(lambda update: update.course == "stopped")
    assert update.at_once == 3
    assert {row.node_id: row.stage for row in update.boards} == {
        a.id: "there already",
        b.id: "failed",
        me: "waiting",  # no board of its own was heard here, and it may speak yet
    }
    assert "this is no board" in update.why


def test_what_it_stands_at_outlives_the_manager(tmp_path: Path, bundle: Path) -> None:
    """And the bundle with it; a board that was told and had begun is not told again."""

    async def test() -> None:
        identity = Identity(new_seed())
        async with running_manager(tmp_path, identity=identity) as (manager, _), boards(manager, 1) as (a,):
            person = Person(tmp_path / "manager.sock")
            await person.ask(StartUpdate(await person.send(bundle), nodes=(a.id,)))
            await a.until(lambda: bool(a.installs), "a is told")
            await a.say_doing("installing")
            before = await person.until(lambda update: stages(update) == ["installing"])
            install = a.installs[0]
        async with running_manager(tmp_path, identity=identity) as (manager, _):
            update = await person.ask(GetUpdate())
            assert (update.course, stages(update), update.sha256) == ("running", ["installing"], before.sha256)
            told = await person.ask(SteerUpdate("abort"))
            assert told.course == "aborted"
            assert manager.updates.rollouts.current is not None
            assert manager.updates.rollouts.current.name == install.rollout
            assert await manager.updates._objects.find(before.sha256) is not None

    run(test())


def test_what_is_no_bundle(tmp_path: Path, bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def test() -> None:
        async with running_manager(tmp_path) as (manager, _):
            person = Person(tmp_path / "manager.sock")
            await person.refused(StartUpdate(), "no bundle is kept here")
            await person.refused(SteerUpdate("pause"), "no update was rolled out yet")
            await person.refused(StartUpdate("0" * 22), "that upload is over")
            await person.refused(PutChunk(b"x", "0" * 22), "that upload is over")
            for name, data, said in (
                ("none", None, "cannot be read: No such file"),
                ("empty", b"", "is empty"),
                ("text", b"hello", "no RAUC bundle"),
            ):
                if data is not None:
                    await asyncio.to_thread((tmp_path / name).write_bytes, data)
                with pytest.raises(BundleError, match=said):
                    await person.send(tmp_path / name)
            whole = await asyncio.to_thread(bundle.read_bytes)
            await asyncio.to_thread((tmp_path / "cut").write_bytes, whole[:-20])
            await person.refused(StartUpdate(await person.send(tmp_path / "cut")), "no signature at its end")
            first = await person.ask(PutChunk(b"hsqs"), Took)
            second = await person.ask(PutChunk(b"hsqs"), Took)
            await person.refused(PutChunk(b"more", first.upload), "that upload is over")
            await person.refused(PutChunk(b"more", second.upload), "chunks of")
            assert await manager.engine.bundles.subjects("$O.updates.C.*") == []
            monkeypatch.setattr(office, "KEPT_FREE", 1 << 60)
            await person.refused(PutChunk(b"hsqs"), "MiB are free")
        with pytest.raises(ManagerAwayError):
            await person.send(bundle)

    run(test())


def test_the_commands(tmp_path: Path, bundle: Path) -> None:
    async def test() -> None:
        async with running_manager(tmp_path) as (manager, _), boards(manager, 1) as (a,):
            manager.registry.names["kitchen"] = a.id

            async def say(*words: str, code: int = 0) -> str:
                command = [sys.executable, "-m", "services.manager", "update", *words]
                environment = {
                    "PYTHONPATH": str(ROOT),
                    "PATH": "/usr/bin",
                    "MANAGER_SOCKET": f"{tmp_path}/manager.sock",
                }
                done = await asyncio.to_thread(
                    subprocess.run, command, capture_output=True, text=True, env=environment, timeout=60, check=False
                )
                assert done.returncode == code, done
                assert max(map(len, done.stdout.splitlines()), default=0) <= 80 or done.stdout.startswith("{")
                return str(done.stdout + done.stderr)

            assert "no update was rolled out yet" in await say("status")
            assert "kitchen" in await say("status")
            said = await say("start", str(bundle), "--nodes", "kitchen", "--percent", "25")
            assert said.startswith(f"update to {NEW}, one after another: 0 of 1 boards; running")
            await a.until(lambda: bool(a.installs), "a is told")
            told = json.loads(await say("status", "--json"))
            assert (told["course"], told["boards"][0]["stage"]) == ("running", "told")
            assert "paused" in await say("pause")
            assert "running" in await say("resume")
            assert "aborted" in await say("abort")
            assert "is aborted: it cannot pause" in await say("pause", code=1)
            assert "'nobody'" in await say("start", "--nodes", "nobody", code=1)
            await say("start", "--percent", "0", code=2)

    run(test())


def test_the_shell(tmp_path: Path, bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`update --all`, as a script uses it."""
    monkeypatch.setenv("MANAGER_SOCKET", str(tmp_path / "manager.sock"))

    async def say(*words: str) -> list[str]:
        answer = await asyncio.to_thread(rollout.talk, [*words])
        assert max(map(len, answer.lines[1:]), default=0) <= 80
        return [*answer.lines]

    async def test() -> None:
        async with running_manager(tmp_path) as (manager, _), boards(manager, 2) as (a, b):
            manager.registry.names.update({"attic": a.id, "barn": b.id})
            said = await say(str(bundle), "--percent", "100", "--nodes", "barn,attic", "--older")
            assert said[0] == f"update to {NEW}, 2 at once: 0 of 2 boards; running"
            await b.until(lambda: bool(b.installs), "b is told")
            assert b.installs[0].older
            lines = await say("status")
            assert [line.split()[0] for line in lines[1:]] == ["BOARD", "barn", "attic"]
            assert "paused" in (await say("pause"))[0]
            assert "aborted" in (await say("abort"))[0]
            for wrong in (["--percent"], ["--percent", "x"], ["a", "b"], ["--what"]):
                with pytest.raises(UsageError):
                    await say(*wrong)
            for refused in (["resume"], ["--nodes", "nobody"], [str(tmp_path / "none")], ["--percent", "101"]):
                with pytest.raises(ViscriptRefusedError):
                    await say(*refused)

    run(test())


def test_another_s_words_about_boards_are_checked(tmp_path: Path) -> None:
    """What is no state of a board is refused, and changes nothing."""

    async def test() -> None:
        async with running_manager(tmp_path) as (manager, _), boards(manager, 1) as (a,):
            assert a.bus is not None
            for wrong in (
                b'{"is":"board"}',
                b'{"is":"board","state":{"percent":101}}',
                b'{"is":"board","state":{"text":"' + b"x" * 500 + b'"}}',
            ):
                answer = json.loads(await a.bus.ask(f"up.{a.id}.ask", wrong))
                assert answer["is"] == "refused", wrong[:40]
            answer = json.loads(await a.bus.ask(f"up.{a.id}.ask", b'{"is":"board","state":{"version":"3.0","new":1}}'))
            assert answer["is"] == "done", "a newer board may say more"
            assert issubclass(BundleError, ManagerError)

    run(test())


def test_a_board_that_never_stops_talking_does_not_wear_the_card(tmp_path: Path) -> None:
    async def test() -> None:
        async with running_manager(tmp_path) as (manager, _), boards(manager, 1) as (a,):
            for number in range(30):
                await a.say_board(text=f"word {number}")
            kept, newest = manager.engine.store.boards, b"word 29"
            async with asyncio.timeout(20):
                while (entry := await kept.get(a.id)) is None or newest not in entry.value:  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
            assert entry.revision < 10, "of 31 words"

    run(test())
