"""Debouncing, and the sampling thread on a real line of the fake chip."""

import queue
import time
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skywire_board.boards import Gpio
from skywire_board.inputs.button import BUSY_S, CALM_S, QUIET_S, ButtonSampler, Debouncer
from skywire_board.model import ButtonEvent, ButtonLost, ButtonPressed, ButtonReleased
from skywire_board.outputs.pins import GpioButton, wire
from skywire_board.pins.fake import FakeChip
from skywire_board.pins.gpiod_factory import GpiodFactory


def feed(debouncer: Debouncer, levels: str, start_s: float = 0.0) -> list[object]:
    """Sample "_" as released and "#" as pressed, every 20 ms."""
    samples = [debouncer.sample(level == "#", start_s + n * BUSY_S) for n, level in enumerate(levels)]
    return [sample for sample in samples if sample is not None]


def test_first_stable_level_is_told() -> None:
    assert feed(Debouncer(), "__") == [ButtonReleased(BUSY_S)]
    assert feed(Debouncer(), "##") == [ButtonPressed(BUSY_S)]


def test_bounce_is_swallowed() -> None:
    assert [type(event) for event in feed(Debouncer(), "___#_#_#__")] == [ButtonReleased]
    assert [type(event) for event in feed(Debouncer(), "___#_#####_#__")] == [
        ButtonReleased,
        ButtonPressed,
        ButtonReleased,
    ]


@given(st.text("_#", max_size=200))
def test_events_alternate(levels: str) -> None:
    kinds = [type(event) for event in feed(Debouncer(), levels)]
    assert all(before is not after for before, after in pairwise(kinds))


def test_calm_rhythm_only_when_nothing_moves() -> None:
    debouncer = Debouncer()
    assert debouncer.is_busy(0.0)
    feed(debouncer, "__")
    assert not debouncer.is_busy(5.0)
    feed(debouncer, "##", 5.0)
    assert debouncer.is_busy(14.0)
    assert not debouncer.is_busy(18.0)  # stuck: no reason to look 50 times a second for ever


class Watched:
    """A button on a fake chip, and what its sampler says."""

    def __init__(self, chip: FakeChip) -> None:
        self.chip = chip
        pins = wire(Gpio("fake", None, None, 22), GpiodFactory(chip))
        assert isinstance(pins.button, GpioButton)
        self.line = pins.button
        self.events: queue.Queue[ButtonEvent] = queue.Queue()
        self.sampler = ButtonSampler(self.line, self.events.put)

    def __enter__(self) -> "Watched":
        self.sampler.start()
        assert isinstance(self.events.get(timeout=10), ButtonReleased)
        return self

    def __exit__(self, *_: object) -> None:
        self.sampler.stop()

    def press(self, held_s: float) -> float:
        """Presses once; how long it took until that was known."""
        begin = time.monotonic()
        self.chip.press(22, False)
        time.sleep(held_s)
        self.chip.let_go(22)
        down, up = self.events.get(timeout=10), self.events.get(timeout=10)
        assert (type(down), type(up)) == (ButtonPressed, ButtonReleased)
        assert up.at_s > down.at_s
        return down.at_s - begin


@pytest.mark.parametrize(
    ("chip", "known"),
    [(FakeChip(edges=False), False), (FakeChip(mute=True), False), (FakeChip(), True)],
    ids=["no-edges", "mute", "edges"],
)
def test_presses_arrive_whatever_the_chip_tells(chip: FakeChip, known: bool) -> None:
    with Watched(chip) as watched:
        assert watched.line.has_edges is known
        for _ in range(2):
            time.sleep(QUIET_S + 2 * CALM_S)  # until it rests again
            assert watched.press(0.12) < 0.2


def test_where_edges_come_an_idle_button_wakes_nobody() -> None:
    with Watched(FakeChip()) as watched:
        time.sleep(QUIET_S + 2 * CALM_S)
        looks = []
        watched.line.is_pressed = lambda: looks.append(1) or False  # type: ignore[method-assign, func-returns-value]
        time.sleep(0.5)
        assert looks == []


def test_the_proof_of_edges_is_no_press_and_leaves_the_pull() -> None:
    with Watched(FakeChip()) as watched:
        time.sleep(0.2)
        assert watched.events.empty()
        assert watched.chip.level(22)


def test_a_line_that_breaks_is_reported_once() -> None:
    class Broken:
        has_edges = False

        def is_pressed(self) -> bool:
            raise OSError("gone")

        def wait(self, most_s: float) -> bool:
            raise AssertionError(most_s)

    events: queue.Queue[Any] = queue.Queue()
    sampler = ButtonSampler(Broken(), events.put)
    sampler.start()
    event = events.get(timeout=10)
    sampler.join()
    assert isinstance(event, ButtonLost)
    assert events.empty()
