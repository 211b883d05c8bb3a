"""One set of tests for every pin factory: gpiozero's mock, ours on the fake chip, ours on gpio-sim (as root), and ours
on the chip of an emulated board, whose lines a server outside it pushes and looks at (see tests/boot/guest_pins).

`World` is what an outsider does: push a line, look at a line.
"""

import os
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import gpiod
import pytest
from gpiozero import LED, PWMLED, Button, InputDevice
from gpiozero.exc import (
    GPIOPinInUse,
    PinEdgeDetectUnsupported,
    PinFixedPull,
    PinInvalidBounce,
    PinInvalidFunction,
    PinInvalidPin,
    PinInvalidPull,
    PinPWMUnsupported,
    PinSetInput,
)
from gpiozero.pins.mock import MockFactory

from skywire_board.boards import Gpio
from skywire_board.errors import PinError
from skywire_board.outputs.pins import wire
from skywire_board.pins.chips import open_chip, read_labels
from skywire_board.pins.fake import FakeChip
from skywire_board.pins.gpiod_factory import GpiodFactory

OUTSIDE = "SKYWIRE_OUTSIDE"
"""Environment variable: `address:port:label` of the server outside and the chip that it sees."""
CONFIGFS = Path("/sys/kernel/config/gpio-sim")
LINES = 28


class World(Protocol):
    """The outside of a chip."""

    factory: Any

    def push(self, offset: int, level: bool) -> None: ...

    def look(self, offset: int) -> bool: ...


class MockWorld:
    def __init__(self) -> None:
        self.factory = MockFactory()

    def push(self, offset: int, level: bool) -> None:
        pin = self.factory.pin(offset)
        pin.drive_high() if level else pin.drive_low()

    def look(self, offset: int) -> bool:
        return bool(self.factory.pin(offset).state)


class FakeWorld:
    def __init__(self) -> None:
        self.chip = FakeChip(lines=LINES)
        self.factory = GpiodFactory(self.chip)

    def push(self, offset: int, level: bool) -> None:
        self.chip.press(offset, level)

    def look(self, offset: int) -> bool:
        return self.chip.level(offset)


class SimWorld:
    """A chip made by the kernel's gpio-sim; its lines are pushed by their pull and looked at in sysfs."""

    def __init__(self) -> None:
        name = f"skywire{os.getpid()}"
        self.folder = CONFIGFS / name
        bank = self.folder / "bank0"
        bank.mkdir(parents=True)
        (bank / "num_lines").write_text(str(LINES))
        (bank / "label").write_text(name)
        (self.folder / "live").write_text("1")
        device = (self.folder / "dev_name").read_text().strip()
        chip = (bank / "chip_name").read_text().strip()
        self.lines = Path("/sys/devices/platform") / device / chip
        self.factory = GpiodFactory(open_chip(name))

    def push(self, offset: int, level: bool) -> None:
        (self.lines / f"sim_gpio{offset}" / "pull").write_text("pull-up" if level else "pull-down")

    def look(self, offset: int) -> bool:
        return (self.lines / f"sim_gpio{offset}" / "value").read_text().strip() == "1"

    def remove(self) -> None:
        (self.folder / "live").write_text("0")
        (self.folder / "bank0").rmdir()
        self.folder.rmdir()


class OutsideWorld:
    """The emulated board's own chip. QEMU leaves its pull resistors out, so they are put there by hand."""

    def __init__(self, place: str) -> None:
        host, port, label = place.split(":")
        self.line = socket.create_connection((host, int(port)), timeout=20).makefile("rw")
        self.factory = GpiodFactory(open_chip(label))
        for offset in (4, 5, 17, 22, 27):
            self.push(offset, offset == 22)

    def push(self, offset: int, level: bool) -> None:
        self._ask(f"push {offset} {int(level)}")

    def look(self, offset: int) -> bool:
        return self._ask(f"look {offset}") == "1"

    def _ask(self, words: str) -> str:
        self.line.write(words + "\n")
        self.line.flush()
        return self.line.readline().strip()


@pytest.fixture(params=["mock", "fake", "gpio-sim", "outside"])
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    made: MockWorld | FakeWorld | SimWorld | OutsideWorld
    if request.param == "outside":
        if OUTSIDE not in os.environ:
            pytest.skip("no board around this (tests/boot runs it inside the emulated Raspberry Pi 3)")
        made = OutsideWorld(os.environ[OUTSIDE])
    elif request.param == "gpio-sim":
        if not CONFIGFS.is_dir():
            pytest.skip("this kernel has no gpio-sim (run on the board: modprobe gpio-sim)")
        made = SimWorld()
    else:
        made = MockWorld() if request.param == "mock" else FakeWorld()
    yield made
    made.factory.close()
    if isinstance(made, SimWorld):
        made.remove()
    elif isinstance(made, OutsideWorld):
        made.line.close()


def test_led_drives_its_line(world: World) -> None:
    with LED(17, pin_factory=world.factory) as led:
        assert world.look(17) is False
        led.on()
        assert world.look(17) is True
        assert led.value == 1
        led.value = 0
        assert world.look(17) is False


def test_active_low_led_is_dark_when_high(world: World) -> None:
    with LED(17, active_high=False, pin_factory=world.factory) as led:
        assert world.look(17) is True
        led.on()
        assert world.look(17) is False


def test_led_may_start_lit(world: World) -> None:
    with LED(5, initial_value=True, pin_factory=world.factory) as led:
        assert world.look(5) is True
        assert led.is_lit


def test_pulled_up_button_reads_the_push_to_ground(world: World) -> None:
    with InputDevice(22, pull_up=True, pin_factory=world.factory) as button:
        assert not button.is_active
        assert button.pin.pull == "up"
        world.push(22, False)
        assert button.is_active
        world.push(22, True)
        assert not button.is_active


def test_floating_input_with_active_high(world: World) -> None:
    with InputDevice(22, pull_up=None, active_state=True, pin_factory=world.factory) as button:
        world.push(22, True)
        assert button.is_active


def test_a_name_gives_the_same_pin_each_time(world: World) -> None:
    assert world.factory.pin(17) is world.factory.pin("GPIO17")


def test_a_pin_has_one_owner(world: World) -> None:
    with LED(17, pin_factory=world.factory), pytest.raises(GPIOPinInUse):
        LED(17, pin_factory=world.factory)


def test_a_closed_pin_may_be_had_again(world: World) -> None:
    LED(17, pin_factory=world.factory).close()
    with LED(17, pin_factory=world.factory) as led:
        led.on()
        assert world.look(17) is True


def test_pwm_is_refused(world: World) -> None:
    with pytest.raises(PinPWMUnsupported):
        PWMLED(17, pin_factory=world.factory)


def test_unknown_pin_is_refused(world: World) -> None:
    with pytest.raises(PinInvalidPin):
        world.factory.pin("GPIO99")


def test_wrong_settings_are_refused(world: World) -> None:
    pin = world.factory.pin(4)
    pin.function = "input"
    with pytest.raises(PinSetInput):
        pin.state = True
    with pytest.raises(PinInvalidFunction):
        pin.function = "sideways"
    with pytest.raises(PinInvalidPull):
        pin.pull = "left"
    pin.function = "output"
    with pytest.raises(PinFixedPull):
        pin.pull = "up"


def test_edges_call_back(world: World) -> None:
    pressed = threading.Event()
    released = threading.Event()
    with Button(22, pin_factory=world.factory) as button:
        button.when_pressed = pressed.set
        button.when_released = released.set
        world.push(22, False)
        assert pressed.wait(5)
        world.push(22, True)
        assert released.wait(5)


def test_no_thread_is_left(world: World) -> None:
    before = threading.active_count()
    with Button(22, pin_factory=world.factory) as button:
        button.when_pressed = lambda: None
    deadline = time.monotonic() + 5
    while threading.active_count() > before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert threading.active_count() == before


def test_a_board_is_wired(world: World) -> None:
    pins = wire(Gpio(chip="any", status_led=17, activity_led=27, button=22), world.factory)
    assert pins.status is not None
    assert pins.activity is not None
    assert pins.button is not None
    assert (world.look(17), world.look(27)) == (True, False)
    pins.activity.set(True)
    assert world.look(27) is True
    world.push(22, True)
    assert not pins.button.is_pressed()
    world.push(22, False)
    assert pins.button.is_pressed()


def test_a_line_that_is_taken_leaves_the_others_working(world: World) -> None:
    with LED(22, pin_factory=world.factory):
        pins = wire(Gpio(chip="any", status_led=17, activity_led=99, button=22), world.factory)
    assert pins.status is not None
    assert (pins.activity, pins.button) == (None, None)
    assert [text[:17] for text in pins.missing] == ["line 99 of 'any':", "line 22 of 'any':"]


def test_a_lit_line_changes_hands_without_a_blip() -> None:
    levels = []

    class Watched(FakeChip):
        def _configure(self, line: Any, settings: gpiod.LineSettings) -> None:
            super()._configure(line, settings)
            levels.append(line.level())

    chip = Watched(lit=[17])
    with GpiodFactory(chip) as factory, LED(17, initial_value=True, pin_factory=factory):
        assert chip.level(17)
    assert levels
    assert all(levels)
    with GpiodFactory(Watched(lit=[17])) as factory, LED(17, initial_value=None, pin_factory=factory) as led:
        assert led.is_lit
    assert all(levels)


def test_a_line_held_by_another_program_is_named() -> None:
    chip = FakeChip()
    chip.request_lines({17: None}, consumer="leds-gpio")
    with pytest.raises(GPIOPinInUse, match="held by 'leds-gpio'"):
        LED(17, pin_factory=GpiodFactory(chip))


def test_a_chip_without_edges_says_so_and_can_be_sampled() -> None:
    chip = FakeChip(edges=False)
    factory = GpiodFactory(chip)
    with pytest.raises(PinEdgeDetectUnsupported, match="sample it"):
        Button(22, pin_factory=factory)
    with InputDevice(23, pull_up=True, pin_factory=factory) as button:
        chip.press(23, False)
        assert button.is_active


def test_bounce_is_the_kernels_debounce() -> None:
    pin = GpiodFactory(FakeChip()).pin(22)
    pin.function = "input"
    pin.bounce = 0.02
    assert pin.bounce == pytest.approx(0.02)
    pin.bounce = None
    assert pin.bounce is None
    with pytest.raises(PinInvalidBounce):
        pin.bounce = -1


def test_missing_chip_is_named_with_what_is_there(tmp_path: Path) -> None:
    (tmp_path / "gpiochip0").write_text("not a device")
    assert read_labels(tmp_path) == {}
    with pytest.raises(PinError, match=r"no GPIO chip is labelled 'pinctrl-rp1' \(there: none\)"):
        open_chip("pinctrl-rp1", tmp_path)


def test_the_fake_refuses_what_the_kernel_refuses() -> None:
    chip = FakeChip(lines=2)
    request = chip.request_lines({1: gpiod.LineSettings(direction=gpiod.line.Direction.INPUT)})
    with pytest.raises(PermissionError):
        request.set_value(1, gpiod.line.Value.ACTIVE)
    with pytest.raises(OSError, match="busy"):
        chip.request_lines({1: None})
    with pytest.raises(ValueError, match="of out range"):
        chip.request_lines({2: None})
    with pytest.raises(NotImplementedError):
        request.reconfigure_lines({1: gpiod.LineSettings(active_low=True)})
    request.release()
    with pytest.raises(gpiod.RequestReleasedError):
        request.get_value(1)
    chip.close()
    with pytest.raises(gpiod.ChipClosedError):
        chip.get_info()
