"""A GPIO chip in memory, for machines without one: the part of gpiod in `chips`, with the kernel's rules.

It refuses what the kernel refuses: a line held by another (EBUSY), driving an input (EPERM), edges where
there are none (ENODEV), anything after close. The world's side is `press`, `let_go` and `level`. Settings it
does not know are refused.
"""

import errno
import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from time import monotonic_ns
from typing import Any

from gpiod import LineSettings
from gpiod.exception import ChipClosedError, RequestReleasedError
from gpiod.line import Bias, Clock, Direction, Drive, Edge, Value


@dataclass(frozen=True)
class FakeInfo:
    """What gpiod.ChipInfo tells."""

    label: str
    num_lines: int


@dataclass(frozen=True)
class FakeLineInfo:
    """What gpiod.LineInfo tells, as far as it is used."""

    name: str
    consumer: str
    direction: Direction


@dataclass
class _Line:
    """One line: what the chip holds (`settings`, `driven`) and what the world does to it (`outside`)."""

    settings: LineSettings
    driven: bool = False
    outside: bool | None = None
    holder: "FakeRequest | None" = None
    consumer: str = ""

    def level(self) -> bool:
        """The physical level: driven, else forced from outside, else pulled, else low."""
        if self.settings.direction is Direction.OUTPUT:
            return self.driven
        if self.outside is not None:
            return self.outside
        return self.settings.bias is Bias.PULL_UP


class FakeChip:
    """A chip of `lines` lines labelled `label`. `lit` are lines that a boot loader left driven high. Without `edges` it
    has no interrupts; `mute` has them and never raises one, as QEMU's Raspberry Pi, which knows no pulls either.
    """

    def __init__(
        self, label: str = "fake", lines: int = 54, *, edges: bool = True, mute: bool = False, lit: Iterable[int] = ()
    ) -> None:
        self._info = FakeInfo(label, lines)
        self._edges, self.mute = edges, mute
        self._closed = False
        self._lines = [_Line(LineSettings(direction=Direction.INPUT)) for _ in range(lines)]
        for offset in lit:
            self._lines[offset] = _Line(LineSettings(direction=Direction.OUTPUT), driven=True)

    def get_info(self) -> FakeInfo:
        """Label and number of lines."""
        self._check_open()
        return self._info

    def get_line_info(self, line: int) -> FakeLineInfo:
        """Name, holder and direction of a line."""
        found = self._line(line)
        return FakeLineInfo(f"LINE{line}", found.consumer, found.settings.direction)

    def request_lines(self, config: dict[Any, LineSettings | None], consumer: str | None = None) -> "FakeRequest":
        """One line for one holder."""
        [(offset, settings)] = config.items()
        line = self._line(offset)
        if line.holder is not None:
            raise OSError(errno.EBUSY, os.strerror(errno.EBUSY))
        request = FakeRequest(self, offset, line)
        self._configure(line, settings or LineSettings())
        line.holder, line.consumer = request, consumer or ""
        return request

    def close(self) -> None:
        """No new requests; those that are out stay, as with the kernel."""
        self._closed = True

    def press(self, offset: int, level: bool) -> None:
        """The world forces an input to `level`."""
        line = self._lines[offset]
        before = line.level()
        line.outside = level
        if line.holder is not None and line.level() != before:
            line.holder.happened(rising=line.level())

    def let_go(self, offset: int) -> None:
        """The world lets an input float: its pull decides."""
        line = self._lines[offset]
        before = line.level()
        line.outside = None
        if line.holder is not None and line.level() != before:
            line.holder.happened(rising=line.level())

    def level(self, offset: int) -> bool:
        """What a meter on the line would show."""
        return self._lines[offset].level()

    def _check_open(self) -> None:
        if self._closed:
            raise ChipClosedError

    def _line(self, offset: int) -> _Line:
        self._check_open()
        if not 0 <= offset < self._info.num_lines:
            raise ValueError("line offset of out range")
        return self._lines[offset]

    def _configure(self, line: _Line, settings: LineSettings) -> None:
        known = (settings.drive, settings.event_clock, settings.active_low)
        if known != (Drive.PUSH_PULL, Clock.MONOTONIC, False):
            raise NotImplementedError(f"the fake chip does not know {settings}")
        if settings.edge_detection is not Edge.NONE and not self._edges:
            raise OSError(errno.ENODEV, os.strerror(errno.ENODEV))
        if settings.direction is Direction.OUTPUT and settings.edge_detection is not Edge.NONE:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        if settings.direction is Direction.AS_IS:
            if settings.bias is not Bias.AS_IS or settings.edge_detection is not Edge.NONE:
                raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
            settings = replace(settings, direction=line.settings.direction, bias=line.settings.bias)
        else:
            line.driven = bool(settings.output_value) and settings.direction is Direction.OUTPUT
        if settings.bias is Bias.AS_IS:
            settings = replace(settings, bias=line.settings.bias)
        before, was_input = line.level(), line.settings.direction is Direction.INPUT
        line.settings = replace(settings)
        if line.holder is not None and was_input and not self.mute and line.level() != before:
            line.holder.happened(rising=line.level())


@dataclass(frozen=True)
class FakeEdge:
    """One edge, as gpiod.EdgeEvent tells it."""

    class Type:
        """The two kinds."""

        RISING_EDGE = "rising"
        FALLING_EDGE = "falling"

    event_type: str
    timestamp_ns: int


class FakeRequest:
    """A held line; its descriptor becomes readable when an edge was seen."""

    def __init__(self, chip: FakeChip, offset: int, line: _Line) -> None:
        self._chip = chip
        self._offset = offset
        self._line: _Line | None = line
        self._events: list[FakeEdge] = []
        self._read_fd, self._write_fd = os.pipe()

    @property
    def fd(self) -> int:
        """Readable when events are waiting."""
        self._held(self._offset)
        return self._read_fd

    def get_value(self, line: int) -> Value:
        """The level of the line."""
        return Value.ACTIVE if self._held(line).level() else Value.INACTIVE

    def set_value(self, line: int, value: Value) -> None:
        """Drive the line; EPERM on an input."""
        held = self._held(line)
        if held.settings.direction is not Direction.OUTPUT:
            raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))
        held.driven = bool(value)

    def reconfigure_lines(self, config: dict[Any, LineSettings | None]) -> None:
        """New settings for the line, all of them."""
        for offset, settings in config.items():
            self._chip._configure(self._held(offset), settings or LineSettings())

    def read_edge_events(self, max_events: int | None = None) -> list[FakeEdge]:
        """The events that are waiting; blocks when there are none, as the kernel does."""
        self._held(self._offset)
        os.read(self._read_fd, 4096)
        events, self._events = self._events[:max_events], []
        return events

    def release(self) -> None:
        """Give the line back; the level stays as it is."""
        if self._line is None:
            return
        self._line.holder, self._line.consumer, self._line = None, "", None
        os.close(self._read_fd)
        os.close(self._write_fd)

    def happened(self, *, rising: bool) -> None:
        """The world moved the line: an event, if this edge is watched."""
        wanted = Edge.NONE if self._chip.mute else self._held(self._offset).settings.edge_detection
        if wanted is Edge.BOTH or wanted is (Edge.RISING if rising else Edge.FALLING):
            kind = FakeEdge.Type.RISING_EDGE if rising else FakeEdge.Type.FALLING_EDGE
            self._events.append(FakeEdge(kind, monotonic_ns()))
            os.write(self._write_fd, b"\0")

    def _held(self, offset: int) -> _Line:
        if self._line is None:
            raise RequestReleasedError
        if offset != self._offset:
            raise ValueError(f"line {offset} is not part of the request")
        return self._line
