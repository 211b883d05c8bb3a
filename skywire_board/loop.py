"""Joins inputs, brain and outputs: events in, `decide`, effects out, on one asyncio loop.

`Supervisor` owns the state and carries effects out; it decides nothing. Nothing here blocks: systemctl, and checks that
ask others, are tasks with deadlines whose outcomes come back as events; checks that read a file are done at once.
"""

import asyncio
import inspect
import logging
import signal
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from skywire_board.api.server import BoardServer
from skywire_board.api.telling import status_of
from skywire_board.api_words import Status
from skywire_board.brain import decide, next_wake_s
from skywire_board.errors import BoardError
from skywire_board.feeder import Feeder, Open
from skywire_board.feeding import why_starve
from skywire_board.model import (
    Action,
    ActionFailed,
    ArmWatchdog,
    CheckFailed,
    CheckPassed,
    Effect,
    Event,
    Finding,
    FlashActivity,
    Report,
    RestartViscript,
    RunCheck,
    Severity,
    Show,
    ShutdownBegan,
    Started,
    TellAct,
    TimePassed,
    Trouble,
)
from skywire_board.outputs.lights import Light, Player
from skywire_board.outputs.notify import notify, watchdog_interval_s
from skywire_board.outputs.units import words_of
from skywire_board.patterns import ACTIVITY_FLASH_MS, steps_of
from skywire_board.state import State

log = logging.getLogger("skywire_board")

Outcome = Trouble | Finding | None
Check = Callable[[], Outcome | Awaitable[Outcome]]
Systemctl = Callable[[tuple[str, ...]], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Doors:
    """What a supervisor looks through. `watchdog` opens the hardware's; None leaves it alone."""

    checks: Mapping[str, Check]
    systemctl: Systemctl
    board: str = ""
    socket: Path | None = None
    watchdog: Open | None = None


@dataclass(slots=True)
class Lamp:
    """Lights that show the same; one that fails is reported once and dropped. `on`: the level they have."""

    lights: list[Light] = field(default_factory=list)
    on: bool = False

    def add(self, light: Light) -> None:
        """One more light, at once at the level of the others."""
        self.lights.append(light)
        self._set([light])

    def set(self, on: bool) -> None:
        """Set all of them, if they are not so already."""
        if on != self.on:
            self.on = on
            self._set(list(self.lights))

    def _set(self, lights: list[Light]) -> None:
        for light in lights:
            try:
                light.set(self.on)
            except OSError as error:
                self.lights.remove(light)
                log.warning("a light cannot be set any more: %s", error)


@dataclass(slots=True)
class Supervisor:
    """State, lamps and doors of a running supervisor."""

    loop: asyncio.AbstractEventLoop
    doors: Doors
    status: Lamp = field(default_factory=Lamp)
    activity: Lamp = field(default_factory=Lamp)
    state: State = field(default_factory=State)
    player: Player | None = None
    stopped: asyncio.Event = field(default_factory=asyncio.Event)
    tasks: set[asyncio.Task[None]] = field(default_factory=set)
    wake: asyncio.TimerHandle | None = None
    blink: asyncio.TimerHandle | None = None
    server: BoardServer | None = None
    feeder: Feeder = field(init=False)

    def __post_init__(self) -> None:
        self.feeder = Feeder(self.doors.watchdog, lambda: why_starve(self.state, self.loop.time()))

    def post(self, event: Event) -> None:
        """One event: decide, carry out, and arrange to be woken."""
        self.state, effects = decide(self.state, event)
        for effect in effects:
            self.carry_out(effect)
        if self.wake is not None:
            self.wake.cancel()
        self.wake = self.loop.call_at(next_wake_s(self.state), self._woken)

    def post_from_thread(self, event: Event) -> None:
        """The same, for callers on another thread."""
        self.loop.call_soon_threadsafe(self.post, event)

    def carry_out(self, effect: Effect) -> None:
        """One effect."""
        match effect:
            case Show(pattern):
                notify(f"STATUS={pattern.value}")
                self._play(Player(steps_of(effect), self.loop.time()))
            case FlashActivity():
                self.activity.set(True)
                self.loop.call_later(ACTIVITY_FLASH_MS / 1000, self.activity.set, False)
            case RunCheck(name):
                self._check(name)
            case TellAct(act, lines):
                if self.server is not None:
                    self.server.tell(act, lines)
            case ArmWatchdog():
                self.feeder.arm()
            case Report(text, bad):
                log.log(logging.WARNING if bad else logging.INFO, "%s", text)
            case _:
                self._spawn(self._systemctl(effect))

    async def close(self) -> None:
        """Drop what is under way, and go dark: a light that stays lit would promise somebody who watches."""
        self.player = None
        self.feeder.close()
        if self.server is not None:
            await self.server.close()
        for handle in (self.wake, self.blink):
            if handle is not None:
                handle.cancel()
        for task in list(self.tasks):
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        self.status.set(False)
        self.activity.set(False)

    def _woken(self) -> None:
        self.post(TimePassed(self.loop.time()))

    def _play(self, player: Player) -> None:
        self.player = player
        self._step()

    def _step(self) -> None:
        if self.blink is not None:
            self.blink.cancel()
        if self.player is None:
            return
        on, next_s = self.player.level_at(self.loop.time())
        self.status.set(on)
        self.blink = self.loop.call_at(next_s, self._step)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = self.loop.create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    def tell_status(self) -> Status:
        """What is answered on the board's socket."""
        return status_of(replace(self.state, now_s=self.loop.time()), self.doors.board, self.feeder.state)

    async def serve(self) -> None:
        """The board's socket. Without it the board works all the same, and the log says why it is missing."""
        if self.doors.socket is None:
            return
        server = BoardServer(self.doors.socket, self.post, self.tell_status)
        try:
            await server.start()
        except OSError as error:
            log.warning("the board's socket cannot be opened: %s", error)
            return
        self.server = server

    def _check(self, name: str) -> None:
        try:
            outcome = self.doors.checks[name]() if name in self.doors.checks else None
        except Exception as error:  # a check with a bug must not silence itself
            outcome = _broken(name, error)
        if inspect.isawaitable(outcome):
            self._spawn(self._await_check(name, outcome))
        else:
            self.loop.call_soon(self._found, name, outcome)

    async def _await_check(self, name: str, answer: Awaitable[Outcome]) -> None:
        try:
            outcome = await answer
        except Exception as error:
            outcome = _broken(name, error)
        self._found(name, outcome)

    def _found(self, name: str, outcome: Outcome) -> None:
        if self.stopped.is_set():
            return
        found = outcome if isinstance(outcome, Finding) else Finding(outcome)
        at_s = self.loop.time()
        if found.trouble is None:
            self.post(CheckPassed(at_s, name, found.fact))
        else:
            self.post(CheckFailed(at_s, name, found.trouble, found.fact))

    async def _systemctl(self, action: Action) -> None:
        if isinstance(action, RestartViscript):
            log.warning("restarting viscript: %s", action.why)
        try:
            await self.doors.systemctl(words_of(action))
        except BoardError as error:
            self.post(ActionFailed(self.loop.time(), action, str(error)))


def _broken(name: str, error: Exception) -> Trouble:
    return Trouble(f"{name}-check-broken", f"check '{name}' broke", Severity.WARN, repr(error))


async def supervise(doors: Doors, connect: Callable[[Supervisor], Coroutine[Any, Any, None]]) -> None:
    """Run until SIGTERM or SIGINT. `connect` gets the supervisor, to add lights and button as they are found. SIGUSR1
    tells that the system goes down: systemd leaves this process alive to the very end, for the light.
    """
    loop = asyncio.get_running_loop()
    supervisor = Supervisor(loop, doors)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, supervisor.stopped.set)
    loop.add_signal_handler(signal.SIGUSR1, lambda: supervisor.post(ShutdownBegan(loop.time())))
    supervisor.post(Started(loop.time()))
    await supervisor.serve()
    tasks = [loop.create_task(connect(supervisor)), loop.create_task(_feed_watchdog())]
    notify("READY=1")
    await supervisor.stopped.wait()
    notify("STOPPING=1")
    for task in tasks:
        task.cancel()
    for ended in await asyncio.gather(*tasks, return_exceptions=True):
        if isinstance(ended, Exception):
            log.error("a task ended early: %r", ended)
    await supervisor.close()


async def _feed_watchdog() -> None:
    """Feed systemd's watchdog from the loop itself: a loop that hangs is not fed."""
    interval_s = watchdog_interval_s()
    while interval_s is not None:
        notify("WATCHDOG=1")
        await asyncio.sleep(interval_s)
