"""Lights: a player that turns a program into levels on time, and the doors it sets.

The player is pure: `level_at` tells the level now and when it changes next, counted from the start of the
program, so nothing drifts. Values flow one way: pattern, player, lights.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from skywire_board.patterns import Steps

LEDS = Path("/sys/class/leds")


class Light(Protocol):
    """Anything that can be lit."""

    def set(self, on: bool) -> None: ...


@dataclass(frozen=True, slots=True)
class Player:
    """A round of steps, played since `start_s`."""

    steps: Steps
    start_s: float

    def level_at(self, now_s: float) -> tuple[bool, float]:
        """The level at `now_s`, and the moment of the next change."""
        period_ms = sum(ms for _, ms in self.steps)
        rounds, into_ms = divmod(max(0.0, now_s - self.start_s) * 1000, period_ms)
        end_ms = 0
        for on, ms in self.steps:
            end_ms += ms
            if into_ms < end_ms:
                return on, self.start_s + (rounds * period_ms + end_ms) / 1000
        return self.steps[0][0], self.start_s + (rounds + 1) * period_ms / 1000


class GpioLight:
    """A gpiozero LED."""

    def __init__(self, led: Any) -> None:
        self._led = led

    def set(self, on: bool) -> None:
        """Drive the line."""
        self._led.value = on


class SysfsLight:
    """A light of the board under /sys/class/leds, taken from its trigger at first use."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._on = (folder / "max_brightness").read_text().strip() or "1"
        (folder / "trigger").write_text("none")

    def set(self, on: bool) -> None:
        """Set full brightness, or none."""
        (self._folder / "brightness").write_text(self._on if on else "0")


def find_onboard(names: Sequence[str], leds: Path = LEDS) -> SysfsLight | None:
    """The first light of `names` that is there and may be driven."""
    for name in names:
        try:
            return SysfsLight(leds / name)
        except OSError:
            continue
    return None
