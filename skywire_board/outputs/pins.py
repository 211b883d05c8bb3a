"""The door to gpiozero: lights and button of a board as gpiozero devices on a given pin factory."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from gpiozero import LED, InputDevice

from skywire_board.boards import Gpio
from skywire_board.outputs.lights import GpioLight, Light


@dataclass(frozen=True, slots=True)
class Pins:
    """What is wired: the lights, and a function that tells whether the button is pressed."""

    status: Light | None
    activity: Light | None
    is_pressed: Callable[[], bool] | None


def wire(gpio: Gpio, factory: Any) -> Pins:
    """Request the lines of `gpio`. The status light starts lit, as the boot loader left it."""
    status = activity = is_pressed = None
    if gpio.status_led is not None:
        status = GpioLight(_led(gpio, gpio.status_led, factory, lit=True))
    if gpio.activity_led is not None:
        activity = GpioLight(_led(gpio, gpio.activity_led, factory, lit=False))
    if gpio.button is not None:
        is_pressed = _button(gpio, gpio.button, factory)
    return Pins(status, activity, is_pressed)


def _led(gpio: Gpio, pin: int, factory: Any, *, lit: bool) -> Any:
    return LED(pin, active_high=not gpio.leds_active_low, initial_value=lit, pin_factory=factory)


def _button(gpio: Gpio, pin: int, factory: Any) -> Callable[[], bool]:
    """A plain input, to be sampled: gpiozero's Button wants edges and threads."""
    device = InputDevice(pin, pull_up=None, active_state=not gpio.button_active_low, pin_factory=factory)
    if gpio.button_pull != "none":
        device.pin.pull = gpio.button_pull

    def is_pressed() -> bool:
        return bool(device.value)

    return is_pressed
