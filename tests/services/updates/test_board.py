"""A node's part: what it takes for an order, what it does then at the door of its board, and what it says of it."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from services.keys import Identity, NodeId, new_seed
from services.manager import asks
from services.manager.signed import Order
from services.node.errors import AwayError, OrderError
from services.node.kept import Kept
from services.updates import board as boards
from services.updates.board import BoardUpdates
from services.updates.door import Boot, Door
from services.updates.model import BoardState, Bundle, Install
from skywire_board.update import words
from tests.services.manager.program.ends import run

MANAGER, OTHER = (Identity(new_seed()).node_id for _ in range(2))
BUNDLE = Bundle("ab" * 32, 1000, "2.0", "skywire")
BOOT = {"slot": "A", "other": "B", "trial": False, "good": True, "rolled_back": "", "version": "1.0"}


class Home:
    """The managers, near: keeps what it is told."""

    def __init__(self) -> None:
        self.managers: tuple[NodeId, ...] = (MANAGER,)
        self.said: list[BoardState] = []
        self.is_away = False
        self.handlers: dict[str, Callable[[Order], Awaitable[asks.Reply]]] = {}
        self.come: list[Callable[[], Awaitable[None]]] = []
        self.news = asyncio.Event()

    def on(self, kind: str, handler: Callable[[Order], Awaitable[asks.Reply]]) -> None:
        self.handlers[kind] = handler

    def on_home(self, handler: Callable[[], Awaitable[None]]) -> None:
        self.come.append(handler)

    async def ask(self, ask: Any, _kind: Any, within_s: float = 5.0) -> Any:
        assert within_s > 0
        if self.is_away:
            raise AwayError("away")
        self.said.append(ask.state)
        self.news.set()
        return asks.Done()

    async def wait(self, is_so: Callable[[BoardState], object]) -> BoardState:
        async with asyncio.timeout(20):
            while not self.said or not is_so(self.said[-1]):
                self.news.clear()
                await self.news.wait()
        return self.said[-1]


class DoorKeeper:
    """The far end of the door's socket: answers as it is told, and keeps what was asked."""

    def __init__(self) -> None:
        self.asked: list[words.Request] = []
        self.answers: list[bytes] = [words.line(words.Installed("2.0", "B"))]
        self.goes_on = asyncio.Event()
        self.goes_on.set()
        self.hung_up, self.news = asyncio.Event(), asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = words.read_request(await reader.readline())
        self.asked.append(request)
        self.news.set()
        if isinstance(request, words.Reboot):
            writer.write(words.line(words.Rebooting()))
        else:
            writer.write(words.line(words.Progress(12, "writing slot B")))
            waiting = [asyncio.ensure_future(self.goes_on.wait()), asyncio.ensure_future(reader.read())]
            done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            if waiting[1] in done:
                self.hung_up.set()
            waiting[0].cancel()
            for answer in self.answers:
                writer.write(answer)
        writer.close()

    async def wait(self, *kinds: str) -> None:
        """Until these were asked."""
        async with asyncio.timeout(20):
            while self.kinds != [*kinds]:
                self.news.clear()
                await self.news.wait()

    @property
    def kinds(self) -> list[str]:
        return [type(request).__name__ for request in self.asked]


@asynccontextmanager
async def board(
    folder: Path, home: Home, boot: dict[str, object] | None = None
) -> AsyncIterator[tuple[BoardUpdates, DoorKeeper]]:
    keeper = DoorKeeper()
    (folder / "boot.json").write_text(json.dumps(boot or BOOT))
    server = await asyncio.start_unix_server(keeper.serve, folder / "update.sock")
    updates = BoardUpdates(home, Kept(folder / "ram"), Door(folder / "update.sock", folder / "boot.json"))
    updates.start()
    try:
        yield updates, keeper
    finally:
        await updates.close()
        server.close()


def order(rollout: str = "r1", manager: NodeId = MANAGER, **more: object) -> Order:
    install = Install(rollout, BUNDLE, manager, **more)  # type: ignore[arg-type]
    return Order(OTHER, 1, asks.UPDATE, msgspec.Raw(msgspec.json.encode(install)))


@pytest.fixture(autouse=True)
def near(monkeypatch: pytest.MonkeyPatch) -> dict[str, bool]:
    """Whether the managers' port is reached: there is no mesh here."""
    reached = {"is": True}

    async def is_reached(_manager: NodeId, _port: int) -> bool:
        return reached["is"]

    monkeypatch.setattr(boards, "_is_reached", is_reached)
    monkeypatch.setattr(boards, "AGAIN_S", 0.05)
    monkeypatch.setattr(boards, "LOOK_S", 0.05)
    return reached


def test_installed_said_and_restarted(tmp_path: Path) -> None:
    async def test() -> None:
        home = Home()
        async with board(tmp_path, home) as (updates, keeper):
            assert await home.wait(lambda state: state.version) == BoardState(
                "1.0", "A", has_door=True, called=socket.gethostname().partition(".")[0]
            )
            assert await home.handlers[asks.UPDATE](order()) == asks.Reply()
            done = await home.wait(lambda state: state.doing == "installed")
            assert (done.rollout, done.version, done.percent) == ("r1", "1.0", 100)
            await keeper.wait("Install", "Reboot")
            install = keeper.asked[0]
            assert isinstance(install, words.Install)
            assert install.source.startswith("http://[fd53:")
            assert install.source.endswith(f"]:7996/updates/{BUNDLE.sha256}.raucb")
            assert await home.handlers[asks.UPDATE](order()) == asks.Reply(), "again is no second time"
            assert updates.state.doing == "installed"
        assert keeper.kinds == ["Install", "Reboot"]

    run(test(), 40)


def test_orders_that_are_refused(tmp_path: Path) -> None:
    async def test() -> None:
        home = Home()
        async with board(tmp_path, home) as (updates, keeper):
            keeper.goes_on.clear()
            with pytest.raises(OrderError, match="no manager of this node"):
                await updates.take(order(manager=OTHER))
            await updates.take(order())
            await home.wait(lambda state: state.doing == "installing" and state.percent == 10)
            with pytest.raises(OrderError, match="another update"):
                await updates.take(order("r2"))
        async with asyncio.timeout(10):
            await keeper.hung_up.wait()
        (tmp_path / "update.sock").unlink()
        with pytest.raises(OrderError, match="no board"):
            await updates.take(order("r3"))

    run(test(), 40)


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        ([words.line(words.Refused("wrong key"))], "wrong key"),
        ([words.line(words.Installed("1.9", "B"))], "is version '1.9', not '2.0'"),
        ([b"nonsense\n"], "nobody understands"),
        ([], "hung up in the middle"),
        ([b"x" * 100_000], "hung up in the middle"),
    ],
)
def test_what_the_door_refuses_is_said_and_nothing_restarts(tmp_path: Path, answers: list[bytes], said: str) -> None:
    async def test() -> None:
        home = Home()
        async with board(tmp_path, home) as (updates, keeper):
            keeper.answers = answers
            await updates.take(order())
            state = await home.wait(lambda state: state.doing == "refused")
            assert said in state.text
        assert "Reboot" not in keeper.kinds

    run(test(), 40)


def test_it_is_begun_again_where_the_managers_were_away(tmp_path: Path, near: dict[str, bool]) -> None:
    async def test() -> None:
        home = Home()
        async with board(tmp_path, home) as (updates, keeper):
            keeper.goes_on.clear()
            keeper.answers = [words.line(words.Refused("the server does not answer"))]
            await updates.take(order())
            await home.wait(lambda state: state.percent == 10)
            near["is"] = False
            keeper.goes_on.set()
            await asyncio.sleep(0.3)
            assert keeper.kinds == ["Install"], "it waits for a manager"
            keeper.answers = [words.line(words.Installed("2.0", "B"))]
            near["is"] = True
            await home.wait(lambda state: state.doing == "installed")
            assert keeper.kinds[:2] == ["Install", "Install"]

    run(test(), 40)


def test_a_node_that_is_started_anew_goes_on(tmp_path: Path) -> None:
    async def test() -> None:
        async with board(tmp_path, Home()) as (updates, keeper):
            keeper.goes_on.clear()
            await updates.take(order())
            await keeper.wait("Install")
        (tmp_path / "update.sock").unlink()
        home = Home()
        async with board(tmp_path, home):
            state = await home.wait(lambda state: state.doing == "installed")
            assert state.rollout == "r1"

    run(test(), 40)


def test_what_it_says_follows_the_board(tmp_path: Path) -> None:
    async def test() -> None:
        home = Home()
        async with board(tmp_path, home, {**BOOT, "slot": "B", "version": "2.0", "trial": True}):
            assert (await home.wait(lambda state: state.trial)).version == "2.0"
            home.is_away = True
            new = tmp_path / "new"
            new.write_text(json.dumps({**BOOT, "rolled_back": "viscript did not answer", "more": 1}))
            new.replace(tmp_path / "boot.json")
            await asyncio.sleep(0.1)
            home.is_away = False
            state = await home.wait(lambda state: not state.trial)
            assert (state.version, state.rolled_back) == ("1.0", "viscript did not answer")
            count = len(home.said)
            for come in home.come:
                await come()
            await home.wait(lambda _: len(home.said) > count)

    run(test(), 40)


def test_what_is_no_board_says_nothing(tmp_path: Path) -> None:
    async def test() -> None:
        home, door = Home(), Door(tmp_path / "none", tmp_path / "none.json")
        updates = BoardUpdates(home, Kept(tmp_path / "ram"), door)
        updates.start()
        for come in home.come:
            await come()
        await asyncio.sleep(0.2)
        await updates.close()
        assert home.said == []
        (tmp_path / "none.json").write_text("[")
        assert door.boot() == Boot()

    run(test(), 20)
