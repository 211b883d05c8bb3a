"""The door to gpiod: what a chip and a line request must offer, and how a chip is found by its label.

Numbers of /dev/gpiochip* differ from boot to boot, labels do not. The protocols are the part of the gpiod
bindings that the factory uses; `fake` offers the same part with the kernel's rules.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol

import gpiod

from skywire_board.errors import PinError

DEVICES = Path("/dev")


class Request(Protocol):
    """The part of gpiod.LineRequest that is used."""

    @property
    def fd(self) -> int: ...

    def get_value(self, line: int) -> gpiod.line.Value: ...

    def set_value(self, line: int, value: gpiod.line.Value) -> None: ...

    def reconfigure_lines(self, config: dict[Any, gpiod.LineSettings | None]) -> None: ...

    def read_edge_events(self, max_events: int | None = None) -> Iterable[Any]: ...

    def release(self) -> None: ...


class ChipInfo(Protocol):
    """The part of gpiod.ChipInfo that is used."""

    @property
    def label(self) -> str: ...

    @property
    def num_lines(self) -> int: ...


class LineInfo(Protocol):
    """The part of gpiod.LineInfo that is used."""

    @property
    def name(self) -> str: ...

    @property
    def consumer(self) -> str: ...

    @property
    def direction(self) -> gpiod.line.Direction: ...


class Chip(Protocol):
    """The part of gpiod.Chip that is used."""

    def get_info(self) -> ChipInfo: ...

    def get_line_info(self, line: int) -> LineInfo: ...

    def request_lines(self, config: dict[Any, gpiod.LineSettings | None], consumer: str | None = None) -> Request: ...

    def close(self) -> None: ...


def read_labels(devices: Path = DEVICES) -> Mapping[str, Path]:
    """The labels of the GPIO chips that can be opened now, with their device files."""
    labels = {}
    for path in sorted(devices.glob("gpiochip*")):
        try:
            with gpiod.Chip(str(path)) as chip:
                labels[chip.get_info().label] = path
        except OSError:
            continue
    return labels


def open_chip(label: str, devices: Path = DEVICES) -> Chip:
    """The chip with `label`; PinError names the labels that are there."""
    labels = read_labels(devices)
    if label not in labels:
        there = ", ".join(f"'{other}'" for other in labels) or "none"
        raise PinError(f"no GPIO chip is labelled '{label}' (there: {there}); see gpio.chip in the board file")
    chip: Chip = gpiod.Chip(str(labels[label]))
    return chip
