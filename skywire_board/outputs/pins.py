"""The door to gpiozero: lights and button of a board as gpiozero devices on a given pin factory."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from gpiozero import LED, InputDevice
from gpiozero.exc import GPIOZeroError

from skywire_board.boards import Gpio
from skywire_board.inputs.button import Line
from skywire_board.outputs.lights import GpioLight, Light

PROOF_S = 0.02
TURNED = {"up": "down", "down": "up"}


@dataclass(frozen=True, slots=True)
class Pins:
    """What is wired: the lights, and the button's line.

    `missing` tells of each line that is wanted and cannot be had; the others work without it.
    """

    status: Light | None = None
    activity: Light | None = None
    button: Line | None = None
    missing: tuple[str, ...] = ()


def wire(gpio: Gpio, factory: Any) -> Pins:
    """Request the lines of `gpio`. The status light starts lit, as the boot loader left it."""
    wanted: list[tuple[str, int | None, Callable[[int], Any]]] = [
        ("status", gpio.status_led, lambda pin: _led(gpio, pin, factory, lit=True)),
        ("activity", gpio.activity_led, lambda pin: _led(gpio, pin, factory, lit=False)),
        ("button", gpio.button, lambda pin: _button(gpio, pin, factory)),
    ]
    got: dict[str, Any] = {}
    missing = []
    for name, pin, make in wanted:
        if pin is None:
            continue
        try:
            got[name] = make(pin)
        except (GPIOZeroError, OSError) as error:
            missing.append(f"line {pin} of '{gpio.chip}': {error}")
    return Pins(**got, missing=tuple(missing))


def _led(gpio: Gpio, pin: int, factory: Any, *, lit: bool) -> Light:
    active_high = not gpio.leds_active_low
    return GpioLight(LED(pin, active_high=active_high, initial_value=lit, pin_factory=factory))


def _button(gpio: Gpio, pin: int, factory: Any) -> Line:
    """A plain input: gpiozero's Button wants edges and threads."""
    active_state = not gpio.button_active_low
    device = InputDevice(pin, pull_up=None, active_state=active_state, pin_factory=factory)
    if gpio.button_pull != "none":
        device.pin.pull = gpio.button_pull
    return GpioButton(device, active_state=active_state)


class GpioButton:
    """The line of a gpiozero input, whose pin tells of edges where it can."""

    def __init__(self, device: Any, *, active_state: bool) -> None:
        self._device, self._pin, self._active_state = device, device.pin, active_state
        self._level: Callable[[], bool] = getattr(self._pin, "level", lambda: bool(self._pin.state))
        self._notes_edges = hasattr(self._pin, "watch_edges") and self._pin.watch_edges()
        self.has_edges = self._notes_edges and self._edges_come()

    def is_pressed(self) -> bool:
        """Whether it is, by the line's level now."""
        return self._level() is self._active_state

    def wait(self, most_s: float) -> bool:
        """Sleeps, until an edge is noted where any are."""
        if self._notes_edges:
            return bool(self._pin.wait_edge(most_s))
        time.sleep(most_s)
        return False

    def _edges_come(self) -> bool:
        """Tried with the pull: turned round for a moment it moves a line that nobody holds. Not so where the line has
        a resistor of its own, or the chip no pulls: then the first press will tell.
        """
        pull = self._pin.pull
        if pull not in TURNED or self.is_pressed():
            return False
        try:
            self._pin.pull = TURNED[pull]
            came = self._pin.wait_edge(PROOF_S)
        except OSError:  # a chip that pulls one way only
            came = False
        self._pin.pull = pull
        while self._pin.wait_edge(PROOF_S):
            pass
        return bool(came)
