"""The door to gpiozero: lights and button of a board as gpiozero devices on a given pin factory."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from gpiozero import LED, InputDevice
from gpiozero.exc import GPIOZeroError

from skywire_board.boards import Gpio
from skywire_board.outputs.lights import GpioLight, Light


@dataclass(frozen=True, slots=True)
class Pins:
    """What is wired: the lights, and a function that tells whether the button is pressed.

    `missing` tells of each line that is wanted and cannot be had; the others work without it.
    """

    status: Light | None = None
    activity: Light | None = None
    is_pressed: Callable[[], bool] | None = None
    missing: tuple[str, ...] = ()


def wire(gpio: Gpio, factory: Any) -> Pins:
    """Request the lines of `gpio`. The status light starts lit, as the boot loader left it."""
    wanted: list[tuple[str, int | None, Callable[[int], Any]]] = [
        ("status", gpio.status_led, lambda pin: _led(gpio, pin, factory, lit=True)),
        ("activity", gpio.activity_led, lambda pin: _led(gpio, pin, factory, lit=False)),
        ("is_pressed", gpio.button, lambda pin: _button(gpio, pin, factory)),
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


def _button(gpio: Gpio, pin: int, factory: Any) -> Callable[[], bool]:
    """A plain input, to be sampled: gpiozero's Button wants edges and threads."""
    active_state = not gpio.button_active_low
    device = InputDevice(pin, pull_up=None, active_state=active_state, pin_factory=factory)
    if gpio.button_pull != "none":
        device.pin.pull = gpio.button_pull

    def is_pressed() -> bool:
        return bool(device.value)

    return is_pressed
