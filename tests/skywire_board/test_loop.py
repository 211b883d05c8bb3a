"""The whole supervisor in one process: a fake chip, a noted systemctl, real time."""

import asyncio
import os
import signal
import socket
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from itertools import pairwise
from pathlib import Path

import pytest
from gpiozero import LED

from skywire_board.boards import Board, Gpio
from skywire_board.errors import BoardError
from skywire_board.loop import Check, Doors, Lamp, Supervisor, supervise
from skywire_board.model import Boot, Claim, Fact, Finding, Mesh, Pattern, Trouble
from skywire_board.outputs.lights import GpioLight
from skywire_board.outputs.pins import wire
from skywire_board.pins.fake import FakeChip
from skywire_board.pins.gpiod_factory import GpiodFactory
from skywire_board.start import connect

GPIO = Gpio("fake", 17, 27, 22)
BOARD = Board("fake board", [], [], [], GPIO, [], "")


class Stage:
    """A fake board, what its supervisor asked systemd for, and the levels seen on the status line."""

    def __init__(self) -> None:
        self.chip = FakeChip(lit=[17])
        self.asked: list[tuple[str, ...]] = []
        self.levels: list[tuple[float, bool]] = []
        self.supervisor: Supervisor | None = None

    async def systemctl(self, words: tuple[str, ...]) -> None:
        self.asked.append(words)

    async def well(self) -> Trouble | None:
        return None

    async def connect(self, supervisor: Supervisor) -> None:
        self.supervisor = supervisor
        await connect(BOARD, wire(GPIO, GpiodFactory(self.chip)), supervisor)

    async def until(self, what: Callable[[], bool], deadline_s: float = 20.0) -> None:
        async with asyncio.timeout(deadline_s):
            while not what():
                loop = asyncio.get_running_loop()
                self.levels.append((loop.time(), self.chip.level(17)))
                await asyncio.sleep(0.01)

    def checks(self) -> dict[str, Check]:
        """All is well; `well` is what viscript answers."""
        facts: dict[str, Fact] = {"claim": Claim(is_claimed=True), "boot": Boot("A")}
        facts["mesh"] = Mesh(answers=True, works=True)
        found: dict[str, Check] = {name: partial(Finding, None, fact) for name, fact in facts.items()}
        return {**found, "viscript": self.well, "data": self.well}

    def pattern(self) -> Pattern | None:
        return self.supervisor.state.shown.pattern if self.supervisor and self.supervisor.state.shown else None

    async def press(self, held_s: float = 0.15) -> None:
        self.chip.press(22, False)
        await asyncio.sleep(held_s)
        self.chip.let_go(22)
        await asyncio.sleep(held_s)


def play(stage: Stage, story: Callable[[], object]) -> None:
    """Run the supervisor while `story` happens; then end it as systemd does."""

    async def both() -> None:
        running = asyncio.ensure_future(supervise(Doors(stage.checks(), stage.systemctl, "fake board"), stage.connect))
        await asyncio.sleep(0)
        try:
            await story()  # type: ignore[misc]
        finally:
            os.kill(os.getpid(), signal.SIGTERM)
            async with asyncio.timeout(10):
                await running

    asyncio.run(both())


def test_a_board_comes_up_and_marks_its_slot_good() -> None:
    stage = Stage()

    async def story() -> None:
        await stage.until(lambda: stage.pattern() is Pattern.ONLINE and len(stage.asked) == 2)
        await stage.until(lambda: stage.chip.level(17))

    play(stage, story)
    assert not stage.chip.level(17)
    assert stage.asked == [
        ("start", "--no-block", "viscript.service"),
        ("start", "--no-block", "skywire-mark-good.service"),
    ]


def test_button_identifies_and_powers_off() -> None:
    stage = Stage()

    async def story() -> None:
        await stage.until(lambda: stage.supervisor is not None and stage.supervisor.state.button.press.value == "up")
        await stage.press()
        await stage.until(lambda: stage.pattern() is Pattern.IDENTIFY)
        await stage.press()
        await stage.press()
        await stage.until(lambda: ("poweroff",) in stage.asked)

    play(stage, story)
    assert stage.pattern() is Pattern.SHUTTING_DOWN


def test_a_power_off_that_fails_can_be_asked_for_again(caplog: pytest.LogCaptureFixture) -> None:
    stage = Stage()

    async def systemctl(words: tuple[str, ...]) -> None:
        stage.asked.append(words)
        if words == ("poweroff",) and stage.asked.count(words) == 1:
            raise BoardError("'systemctl poweroff' took over 30 s")

    stage.systemctl = systemctl  # type: ignore[method-assign]

    async def story() -> None:
        await stage.until(lambda: stage.supervisor is not None and stage.supervisor.state.button.press.value == "up")
        for times in (1, 2):
            await stage.press()
            await stage.press()
            await stage.until(lambda times=times: stage.asked.count(("poweroff",)) == times)  # type: ignore[misc]

    play(stage, story)
    assert stage.pattern() is Pattern.SHUTTING_DOWN
    assert [record.message for record in caplog.records if "poweroff" in record.message] == [
        "still running, press twice to try again: 'systemctl poweroff' took over 30 s"
    ]


def test_the_status_line_blinks_with_the_pattern() -> None:
    stage = Stage()

    async def sick() -> Trouble | None:
        await asyncio.sleep(3600)
        return None

    stage.well = sick  # type: ignore[method-assign]

    async def story() -> None:
        def rises() -> int:
            levels = [level for _, level in stage.levels]
            return sum(not one and two for one, two in pairwise(levels))

        await stage.until(lambda: rises() >= 3)

    play(stage, story)
    rising = [at_s for (_, before), (at_s, level) in pairwise(stage.levels) if level and not before]
    assert rising[-1] - rising[0] == pytest.approx(1.0 * (len(rising) - 1), rel=0.25)


def test_ready_and_watchdog_are_told_to_systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stage = Stage()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server:
        server.bind(str(tmp_path / "notify"))
        server.setblocking(False)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        monkeypatch.setenv("WATCHDOG_USEC", "400000")
        said: list[str] = []

        def hear() -> bool:
            with suppress(BlockingIOError):
                said.append(server.recv(200).decode())
            return said.count("WATCHDOG=1") >= 2

        async def story() -> None:
            await stage.until(hear)

        play(stage, story)
    assert "READY=1" in said
    assert "STATUS=booting" in said


def test_a_check_that_breaks_is_a_trouble_and_is_run_again() -> None:
    stage = Stage()
    calls: list[int] = []

    async def broken() -> Trouble | None:
        calls.append(1)
        raise ZeroDivisionError("a bug")

    stage.well = broken  # type: ignore[method-assign]

    async def story() -> None:
        await stage.until(lambda: len(calls) >= 3)

    play(stage, story)
    assert stage.supervisor is not None
    texts = [noticed.trouble.text for noticed in stage.supervisor.state.troubles]
    assert texts == ["ZeroDivisionError('a bug')"] * 2


def test_a_light_that_breaks_is_dropped_and_the_others_go_on(caplog: pytest.LogCaptureFixture) -> None:
    chip = FakeChip()

    class Broken:
        def set(self, on: bool) -> None:
            raise OSError("unplugged")

    lamp = Lamp()
    lamp.add(GpioLight(LED(17, pin_factory=GpiodFactory(chip))))
    lamp.add(Broken())
    lamp.set(True)
    lamp.set(False)
    lamp.set(True)
    assert chip.level(17)
    assert [record.message for record in caplog.records] == ["a light cannot be set any more: unplugged"]
