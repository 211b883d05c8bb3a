"""Joins inputs, brain and outputs: events in, `decide`, effects out, on one asyncio loop.

`Supervisor` owns the state and carries effects out; it decides nothing. Nothing here blocks: checks and systemctl
are tasks with deadlines whose outcomes come back as events.
"""

import asyncio
import logging
import signal
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any

from skywire_board.brain import decide, next_wake_s
from skywire_board.errors import BoardError
from skywire_board.model import (
    Action,
    ActionFailed,
    CheckFailed,
    CheckPassed,
    Effect,
    Event,
    FlashActivity,
    MarkGood,
    PowerOff,
    Report,
    RestartViscript,
    RunCheck,
    Severity,
    Show,
    Started,
    StartViscript,
    State,
    TimePassed,
    Trouble,
)
from skywire_board.outputs.lights import Light, Player
from skywire_board.outputs.notify import notify, watchdog_interval_s
from skywire_board.outputs.units import MARK_GOOD, POWER_OFF, RESTART_VISCRIPT, START_VISCRIPT
from skywire_board.patterns import ACTIVITY_FLASH_MS, steps_of

log = logging.getLogger("skywire_board")

Check = Callable[[], Awaitable[Trouble | None]]
Systemctl = Callable[[tuple[str, ...]], Awaitable[None]]


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
    checks: Mapping[str, Check]
    systemctl: Systemctl
    status: Lamp = field(default_factory=Lamp)
    activity: Lamp = field(default_factory=Lamp)
    state: State = field(default_factory=State)
    player: Player | None = None
    stopped: asyncio.Event = field(default_factory=asyncio.Event)
    tasks: set[asyncio.Task[None]] = field(default_factory=set)
    wake: asyncio.TimerHandle | None = None
    blink: asyncio.TimerHandle | None = None

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
            case Show(pattern, blinks):
                notify(f"STATUS={pattern.value}")
                self._play(Player(steps_of(pattern, blinks), self.loop.time()))
            case FlashActivity():
                self.activity.set(True)
                self.loop.call_later(ACTIVITY_FLASH_MS / 1000, self.activity.set, False)
            case RunCheck(name):
                self._spawn(self._check(name))
            case StartViscript():
                self._spawn(self._systemctl(effect, START_VISCRIPT))
            case RestartViscript(why):
                log.warning("restarting viscript: %s", why)
                self._spawn(self._systemctl(effect, RESTART_VISCRIPT))
            case MarkGood():
                self._spawn(self._systemctl(effect, MARK_GOOD))
            case PowerOff():
                self._spawn(self._systemctl(effect, POWER_OFF))
            case Report(text, bad):
                log.log(logging.WARNING if bad else logging.INFO, "%s", text)

    async def close(self) -> None:
        """Drop what is under way, and go dark: a light that stays lit would promise somebody who watches."""
        self.player = None
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

    async def _check(self, name: str) -> None:
        try:
            trouble = await self.checks[name]()
        except Exception as error:  # a check with a bug must not silence itself
            trouble = Trouble(f"{name}-check-broken", f"check '{name}' broke", Severity.WARN, repr(error))
        at_s = self.loop.time()
        self.post(CheckPassed(at_s, name) if trouble is None else CheckFailed(at_s, name, trouble))

    async def _systemctl(self, action: Action, words: tuple[str, ...]) -> None:
        try:
            await self.systemctl(words)
        except BoardError as error:
            self.post(ActionFailed(self.loop.time(), action, str(error)))


async def supervise(
    checks: Mapping[str, Check], systemctl: Systemctl, connect: Callable[[Supervisor], Coroutine[Any, Any, None]]
) -> None:
    """Run until SIGTERM or SIGINT. `connect` gets the supervisor, to add lights and button as they are found."""
    loop = asyncio.get_running_loop()
    supervisor = Supervisor(loop, checks, systemctl)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, supervisor.stopped.set)
    supervisor.post(Started(loop.time()))
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
