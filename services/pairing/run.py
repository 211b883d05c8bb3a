"""A pairing window, put together: what happens at its doors goes to the brain one after the other, and what the brain
wants is done in order.

button, shell ─┐                       ┌─ lights, shell, console
mDNS ──────────┼─ events ─ brain ─ effects ─ the other board
the other board┘                       └─ manager: admit · card: keep · node: restart
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import socket
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from ipaddress import IPv4Interface
from pathlib import Path

from services.kernel.errors import DoorError as KernelDoorError
from services.keys import NodeId
from services.manager.config import Config, place_text
from services.node.underlay import own_addresses
from services.pairing import api_words
from services.pairing.api import Api
from services.pairing.beside import Beside
from services.pairing.brain import Admit, Brain, Dial, Effect, End, Hear, Keep, Send
from services.pairing.crypto import Ephemeral
from services.pairing.errors import DoorError, PairingError
from services.pairing.joined import write_joined
from services.pairing.lights import Lights
from services.pairing.model import PORT, Me, Shown, Stage, Welcome
from services.pairing.nearby import Found, Nearby, reachable
from services.pairing.talk import Listener, Talk, dial

log = logging.getLogger(__name__)

Event = Callable[[float], list[Effect]]


@dataclass(frozen=True, slots=True)
class Places:
    """`users` may see and confirm a pairing by its socket."""

    socket: Path = api_words.SOCKET
    board: Path = Path("/run/skywire/board/board.sock")
    users: tuple[str, ...] = ("admin", "viscript")


class Window:
    """One attempt to pair. `run` returns how it ended."""

    def __init__(self, config: Config, places: Places, held_s: float) -> None:
        self._config, self._held_s = config, held_s
        self._events: asyncio.Queue[Event] = asyncio.Queue()
        self._beside = Beside(config)
        self._lights = Lights(places.board, self._acted)
        self._api = Api(places.socket, places.users, self._confirm, self._cancel)
        self._nearby = Nearby(self._found, lambda window: self._events.put_nowait(lambda _: self._brain.lost(window)))
        self._listener = Listener(self._came)
        self._others: dict[str, Found] = {}
        self._talk: Talk | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._joined, self._told = False, ""
        self._name = socket.gethostname().partition(".")[0][:63]
        self._brain: Brain

    async def run(self) -> Shown:
        """Raises DoorError where a pairing goes on already."""
        await self._api.start()
        await self._lights.start()
        shown = Shown(Stage.LOOKING, "opens the pairing")
        try:
            await self._show(shown)
            await self._open()
            shown = await self._go_on()
        except DoorError as error:
            shown = Shown(Stage.REFUSED, str(error))
        finally:
            await self._close(shown)
        return shown

    async def _open(self) -> None:
        """Raises DoorError."""
        key, window = Ephemeral(), secrets.token_hex(16)
        node_id = await self._beside.start(PORT)
        me = Me(node_id, self._name, await self._beside.can(), await self._beside.vouch(key.public))
        self._brain = Brain(me, key, window, self._held_s)
        await self._listener.start(PORT)
        await self._nearby.start(window, self._name, PORT, _own())

    async def _go_on(self) -> Shown:
        """Until it is over."""
        shown = Shown(Stage.LOOKING, "")
        while True:
            if shown != (shown := self._brain.shown):
                await self._show(shown)
            if shown.stage in {Stage.CONFIRMED, Stage.REFUSED}:
                return shown
            try:
                async with asyncio.timeout(max(0.0, self._brain.wakes_s - time.monotonic())):
                    event = await self._events.get()
            except TimeoutError:
                event = self._brain.tick
            for effect in event(time.monotonic()):
                await self._do(effect)

    async def _close(self, shown: Shown) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if shown != self._brain_shown():
            await self._show(shown)
        if self._talk is not None:
            await self._talk.close()
        await self._listener.close()
        await self._nearby.close()
        await self._lights.close()
        if self._joined:
            try:
                await self._beside.restart_node()
                log.info("the node is in the new network now")
            except DoorError as error:
                log.warning("%s (it joins at its next start)", error)
        await self._beside.close()
        await self._api.close()

    def _brain_shown(self) -> Shown | None:
        return self._brain.shown if hasattr(self, "_brain") else None

    async def _show(self, shown: Shown) -> None:
        if shown.text != self._told:
            log.info("pairing: %s", shown.text)
        self._told = shown.text
        self._lights.show(shown)
        await self._api.show(shown)

    # effects

    async def _do(self, effect: Effect) -> None:
        match effect:
            case Dial(window):
                self._start(self._dial(self._others[window]))
            case Send(data):
                with contextlib.suppress(OSError):  # its reader hears of the cut too
                    if self._talk is not None:
                        await self._talk.send(data)
            case Admit(node_id):
                self._start(self._admit(node_id))
            case Keep(welcome):
                self._start(self._keep(welcome))
            case End(joined):
                self._joined = joined
            case Hear():
                pass

    def _start(self, work: Coroutine[None, None, None]) -> None:
        async def guarded() -> None:
            try:
                await work
            except PairingError as error:
                why = str(error)
                self._events.put_nowait(lambda _: self._brain.failed(why))

        task = asyncio.get_running_loop().create_task(guarded())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _dial(self, other: Found) -> None:
        talk = await dial(reachable(other.addresses, _own()), other.port)
        self._events.put_nowait(lambda now_s: self._dialled(talk, now_s))

    def _dialled(self, talk: Talk, now_s: float) -> list[Effect]:
        self._hear(talk)
        return self._brain.dialled(now_s)

    async def _admit(self, node_id: NodeId) -> None:
        port = await self._beside.admit(node_id)
        own = self._talk.own if self._talk is not None else ""
        at = (place_text(own, port), f"{self._name}.local:{port}")
        self._events.put_nowait(lambda _: self._brain.admitted(at))

    async def _keep(self, welcome: Welcome) -> None:
        if self._config.joined is None:
            raise DoorError("manager.yaml says no place for it (joined)")
        await asyncio.to_thread(write_joined, self._config.joined, welcome)
        self._events.put_nowait(lambda _: self._brain.kept())

    # events

    def _found(self, other: Found) -> None:
        self._others.setdefault(other.window, other)
        self._events.put_nowait(lambda now_s: self._brain.found(other.window, other.name, now_s))

    async def _came(self, talk: Talk, line: bytes) -> bool:
        answer: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

        def come(now_s: float) -> list[Effect]:
            effects = self._brain.came(line, now_s)
            if is_kept := Hear() in effects and not answer.cancelled():
                self._hear(talk)
            if not answer.done():
                answer.set_result(is_kept)
            return effects

        self._events.put_nowait(come)
        return await answer

    def _hear(self, talk: Talk) -> None:
        self._talk = talk
        self._start(self._read(talk))

    async def _read(self, talk: Talk) -> None:
        why = "the other board hung up"
        try:
            while line := await talk.line():
                self._events.put_nowait(lambda now_s, line=line: self._brain.heard(line, now_s))  # type: ignore[misc]
        except OSError as error:
            why = f"the connection to the other board is cut: {error.strerror or error}"
        self._events.put_nowait(lambda _: self._brain.cut(why))

    def _acted(self, act: str) -> None:
        if act == "short":
            self._confirm()
        elif act == "hold3":
            self._cancel()

    def _confirm(self) -> None:
        self._events.put_nowait(lambda now_s: self._brain.pressed(now_s))  # noqa: PLW0108 (there may be no brain yet)

    def _cancel(self) -> None:
        self._events.put_nowait(lambda _: self._brain.cancelled())


def _own() -> list[IPv4Interface]:
    """Raises DoorError."""
    try:
        return [address for address in own_addresses() if isinstance(address, IPv4Interface)]
    except KernelDoorError as error:
        raise DoorError(str(error)) from None


async def run(config: Config, places: Places, held_s: float) -> Shown:
    """Raises DoorError."""
    return await Window(config, places, held_s).run()
