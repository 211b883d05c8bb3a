"""Debouncing, and the sampling thread on a real line of the fake chip."""

import queue
import time
from itertools import pairwise
from typing import Any

from gpiozero import InputDevice
from hypothesis import given
from hypothesis import strategies as st

from skywire_board.inputs.button import BUSY_S, CALM_S, ButtonSampler, Debouncer
from skywire_board.model import ButtonLost, ButtonPressed, ButtonReleased
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
    assert debouncer.pause_s(0.0) == BUSY_S
    feed(debouncer, "__")
    assert debouncer.pause_s(5.0) == CALM_S
    debouncer.sample(pressed=True, at_s=5.0)
    assert debouncer.pause_s(5.0) == BUSY_S


def test_a_press_on_the_line_arrives() -> None:
    chip = FakeChip(edges=False)
    device = InputDevice(22, pull_up=True, pin_factory=GpiodFactory(chip))
    events: queue.Queue[Any] = queue.Queue()
    sampler = ButtonSampler(lambda: bool(device.value), events.put)
    sampler.start()
    try:
        assert isinstance(events.get(timeout=10), ButtonReleased)
        chip.press(22, False)
        down = events.get(timeout=10)
        chip.press(22, True)
        up = events.get(timeout=10)
    finally:
        sampler.stop()
    assert isinstance(down, ButtonPressed)
    assert isinstance(up, ButtonReleased)
    assert up.at_s > down.at_s


def test_a_line_that_breaks_is_reported_once() -> None:
    events: queue.Queue[Any] = queue.Queue()

    def read() -> bool:
        raise OSError("gone")

    sampler = ButtonSampler(read, events.put)
    sampler.start()
    event = events.get(timeout=10)
    time.sleep(3 * CALM_S)
    sampler.stop()
    assert isinstance(event, ButtonLost)
    assert events.empty()
