"""A pairing before the real supervisor: what it shows becomes a light's pattern, and the button is passed on to it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from services.pairing.lights import Lights
from services.pairing.model import Part, Shown, Stage
from skywire_board.api.server import BoardServer
from skywire_board.api.telling import status_of
from skywire_board.api_words import Status
from skywire_board.brain import decide
from skywire_board.client import ask_status, press
from skywire_board.model import SocketEvent, Started, TellAct
from skywire_board.state import State


@contextlib.asynccontextmanager
async def supervisor(path: Path) -> AsyncIterator[None]:
    state, _ = decide(State(), Started(asyncio.get_running_loop().time()))

    def post(event: SocketEvent) -> None:
        nonlocal state
        state, effects = decide(state, event)
        for effect in effects:
            if isinstance(effect, TellAct):
                server.tell(effect.act, effect.lines)

    server = BoardServer(path, post, lambda: status_of(state, "fake board", "off"))
    await server.start()
    try:
        yield
    finally:
        await server.close()


async def until(path: Path, is_so: Callable[[Status], bool]) -> Status:
    async with asyncio.timeout(20):
        while not is_so(status := await asyncio.to_thread(ask_status, path)):  # noqa: ASYNC110 (another's state)
            await asyncio.sleep(0.02)
    return status


def test_the_supervisor_shows_a_pairing_and_passes_its_button_on(tmp_path: Path) -> None:
    async def test() -> None:
        path, acts = tmp_path / "board.sock", asyncio.Queue[str]()
        async with supervisor(path):
            lights = Lights(path, acts.put_nowait)
            await lights.start()
            lights.show(Shown(Stage.LOOKING, "looking"))
            assert (await until(path, lambda status: "pairing" in status.said)).pattern == "pairing"
            lights.show(Shown(Stage.COMPARING, "code 2431", "2431", "two", Part.MANAGER))
            assert "2431" in (await until(path, lambda status: "2431" in status.text)).text
            await asyncio.to_thread(press, "short", path)
            assert await asyncio.wait_for(acts.get(), 20) == "short"
            assert (await asyncio.to_thread(ask_status, path)).pattern == "pairing", "the press did not identify"
            lights.show(Shown(Stage.CONFIRMED, "joined"))
            await until(path, lambda status: status.pattern == "confirmed")
            await lights.close()
            await until(path, lambda status: "pairing" not in status.said)

    asyncio.run(test())


def test_without_a_supervisor_a_pairing_goes_on(tmp_path: Path) -> None:
    async def test() -> None:
        lights = Lights(tmp_path / "none.sock", lambda _: None)
        await lights.start()
        lights.show(Shown(Stage.LOOKING, "looking"))
        await lights.close()

    asyncio.run(test())
