"""The hardware watchdog: the fake's rules, who feeds it and who does not, and that dying is no way out."""

import asyncio
from dataclasses import replace

import pytest

from skywire_board.checking import VISCRIPT
from skywire_board.feeder import Feeder
from skywire_board.feeding import HUNG_S, SHUTDOWN_S, SILENT_S, why_starve
from skywire_board.model import CheckFailed, CheckPassed, ShutdownBegan
from skywire_board.outputs.fake_watchdog import FakeWatchdog
from skywire_board.outputs.watchdog import Watchdog
from skywire_board.state import State
from tests.skywire_board.stories import ABSENT, online, tell, wait


class Clock:
    """Time that passes when told."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def make(**rules: int) -> tuple[Clock, FakeWatchdog]:
    clock = Clock()
    return clock, FakeWatchdog(clock, **rules)


def test_it_bites_unless_it_is_fed() -> None:
    clock, hardware = make()
    watchdog = Watchdog(hardware.open())
    for _ in range(10):
        clock.now_s += watchdog.interval_s
        watchdog.feed()
    assert not hardware.has_bitten
    clock.now_s += watchdog.timeout_s + 1
    assert hardware.has_bitten


def test_it_is_disarmed_in_order_only() -> None:
    clock, hardware = make()
    device = hardware.open()
    Watchdog(device).feed()
    device.close()  # as the kernel does for who is killed
    assert hardware.armed
    watchdog = Watchdog(hardware.open())
    watchdog.feed()
    watchdog.disarm()
    clock.now_s += 1000
    assert not hardware.has_bitten


def test_one_alone_has_it() -> None:
    _, hardware = make()
    hardware.open()
    with pytest.raises(OSError, match="busy"):
        hardware.open()


def test_a_raspberry_pi_grants_15_s() -> None:
    _, hardware = make(most_s=15)
    watchdog = Watchdog(hardware.open())
    assert (watchdog.timeout_s, watchdog.interval_s) == (15, 3.75)


def test_it_tells_whether_it_has_bitten() -> None:
    assert not Watchdog(make()[1].open()).has_bitten
    assert Watchdog(make(status=0x20)[1].open()).has_bitten


# who feeds


def test_a_well_board_is_fed_for_ever() -> None:
    state, _ = wait(online(), 10_000.0)
    assert why_starve(state, state.now_s) == ""


def test_a_dead_viscript_is_not() -> None:
    state, _ = wait(online(), SILENT_S - 20, ABSENT)
    assert why_starve(state, state.now_s) == ""
    state, _ = wait(state, SILENT_S + 30, ABSENT)
    assert "viscript has not answered" in why_starve(state, state.now_s)
    state, _ = tell(CheckPassed(state.now_s + 1, VISCRIPT), state=state)
    assert why_starve(state, state.now_s) == ""


def test_a_board_whose_viscript_never_came_is_not() -> None:
    state, _ = tell(CheckFailed(1.0, VISCRIPT, ABSENT))
    state, effects = wait(state, SILENT_S + 10, ABSENT)
    assert any(type(effect).__name__ == "ArmWatchdog" for effect in effects)
    assert why_starve(state, state.now_s)


def test_a_hung_check_is_not() -> None:
    state = online()
    [check] = [check for check in state.checks if check.name == VISCRIPT]
    hung = replace(state, checks=(replace(check, running=True, due_s=10.0),))
    assert why_starve(hung, 10.0 + HUNG_S - 1) == ""
    assert "'viscript' hangs" in why_starve(hung, 10.0 + HUNG_S)


def test_a_shutdown_is_fed_until_it_should_have_ended() -> None:
    state, _ = tell(ShutdownBegan(50.0), state=online())
    assert why_starve(state, 50.0 + SHUTDOWN_S - 1) == ""
    assert "does not end" in why_starve(state, 50.0 + SHUTDOWN_S)


# the feeder


def play(hardware: FakeWatchdog, why: list[str], seconds: float, *, close: bool = True) -> Feeder:
    async def story() -> Feeder:
        feeder = Feeder(lambda: Watchdog(hardware.open(), 4), lambda: why[0])
        feeder.arm()
        await asyncio.sleep(seconds)
        if close:
            feeder.close()
        return feeder

    return asyncio.run(story())


def test_the_feeder_feeds_and_disarms() -> None:
    _, hardware = make()
    feeder = play(hardware, [""], 1.3)
    assert feeder.state == "armed, 4 s"
    assert hardware.fed == 3  # at once, after a second, and at the end
    assert not hardware.armed


def test_the_feeder_starves_and_stays_armed() -> None:
    _, hardware = make()
    feeder = play(hardware, ["viscript is dead"], 0.1)
    assert feeder.state == "starves: viscript is dead"
    assert hardware.fed == 0
    assert hardware.armed


def test_who_is_killed_leaves_it_to_the_next() -> None:
    clock, hardware = make()
    play(hardware, [""], 0.1, close=False)
    hardware.is_open = False  # what the kernel does
    clock.now_s += 2
    play(hardware, [""], 0.1)
    assert not hardware.has_bitten


def test_a_board_without_one_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("skywire_board.feeder.OPEN_AGAIN_S", 0.01)

    def none() -> Watchdog:
        raise FileNotFoundError(2, "No such file or directory")

    async def story() -> str:
        feeder = Feeder(none, lambda: "")
        feeder.arm()
        await asyncio.sleep(0.3)
        return feeder.state

    assert asyncio.run(story()) == "none: No such file or directory"


def test_a_board_that_shall_not_have_one_is_left_alone() -> None:
    async def story() -> str:
        feeder = Feeder(None, lambda: "")
        feeder.arm()
        feeder.close()
        return feeder.state

    assert asyncio.run(story()) == "off"


def test_nothing_is_known_and_it_is_fed() -> None:
    assert why_starve(State(), 0.0) == ""
