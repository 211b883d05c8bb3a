"""A gpiozero pin factory on gpiod: any line of one chip, by GPIO<offset>, offset or name.

A line is requested as it is and only changed when asked, so a light that the boot loader lit stays lit while
it changes hands. Values are physical (active-low is gpiozero's business). No PWM: a board without a hardware
one would burn its CPU.
"""

import select
from datetime import timedelta
from errno import EBUSY
from time import monotonic
from typing import Any

from gpiod import LineSettings
from gpiod.line import Bias, Direction, Edge, Value
from gpiozero.exc import (
    GPIOPinInUse,
    PinEdgeDetectUnsupported,
    PinFixedPull,
    PinInvalidBounce,
    PinInvalidEdges,
    PinInvalidFunction,
    PinInvalidPin,
    PinInvalidPull,
    PinInvalidState,
    PinPWMUnsupported,
    PinSetInput,
)
from gpiozero.pins import BoardInfo, Factory, HeaderInfo, PinInfo
from gpiozero.pins.pi import PiPin

from skywire_board.pins.chips import Chip
from skywire_board.pins.edges import EdgeWatcher

CONSUMER = "skywire"
BIASES = {"floating": Bias.DISABLED, "up": Bias.PULL_UP, "down": Bias.PULL_DOWN}
EDGES = {"both": Edge.BOTH, "rising": Edge.RISING, "falling": Edge.FALLING, "none": Edge.NONE}
DIRECTIONS = {"input": Direction.INPUT, "output": Direction.OUTPUT}


class GpiodFactory(Factory):  # type: ignore[misc]  # gpiozero has no types
    """Pins of `chip`, which the factory owns and closes."""

    def __init__(self, chip: Chip) -> None:
        super().__init__()
        self.chip = chip
        self.watcher = EdgeWatcher()
        self._pins: dict[int, GpiodPin] = {}
        self._info = _board_info(chip)

    def close(self) -> None:
        """Give all lines back, and the chip."""
        self.watcher.close()
        for pin in list(self._pins.values()):
            pin.close()
        self._pins.clear()
        self.chip.close()

    def pin(self, name: int | str) -> "GpiodPin":
        """The pin with `name`; the same object each time."""
        for _, info in self._info.find_pin(name):
            if info.number not in self._pins:
                self._pins[info.number] = GpiodPin(self, info)
            return self._pins[info.number]
        raise PinInvalidPin(f"'{name}' is not a line of chip '{self._info.model}'")

    def ticks(self) -> float:
        """Seconds of the monotonic clock."""
        return monotonic()

    def ticks_diff(self, later: float, earlier: float) -> float:
        """Seconds between two ticks."""
        return later - earlier

    def _get_board_info(self) -> Any:
        return self._info


class GpiodPin(PiPin):  # type: ignore[misc]  # gpiozero has no types
    """One requested line. Its settings are kept here, as the kernel wants them all at each change."""

    def __init__(self, factory: GpiodFactory, info: Any) -> None:
        super().__init__(factory, info)
        self._settings = LineSettings()
        self._pull = "floating"
        self._edges = "both"
        self._poll = select.poll()
        try:
            self._request = factory.chip.request_lines({self._number: self._settings}, consumer=CONSUMER)
        except OSError as error:
            if error.errno != EBUSY:
                raise
            holder = factory.chip.get_line_info(self._number).consumer
            raise GPIOPinInUse(f"{info.name} is held by '{holder}'") from error
        self._output = factory.chip.get_line_info(self._number).direction is Direction.OUTPUT

    def close(self) -> None:
        """Give the line back; the chip decides what becomes of its level."""
        self.when_changed = None
        self._request.release()
        self._factory._pins.pop(self._number, None)

    def watch_edges(self) -> bool:
        """Have the kernel note each edge, for `wait_edge`; False where the chip has no interrupts."""
        try:
            self._set(edge_detection=Edge.BOTH)
        except OSError:
            return False
        self._poll = select.poll()
        self._poll.register(self._request.fd, select.POLLIN)
        return True

    def wait_edge(self, most_s: float) -> bool:
        """Sleeps until an edge is noted, at most that long; then none is waiting any more."""
        if not self._poll.poll(most_s * 1000):
            return False
        self._request.read_edge_events()
        return True

    def level(self) -> bool:
        """The physical level, without gpiozero's many layers: this is asked often."""
        return self._request.get_value(self._number) is Value.ACTIVE

    def output_with_state(self, state: bool) -> None:
        """Drive the line at `state` in one step, without a moment at the other level."""
        self._set(direction=Direction.OUTPUT, output_value=Value(int(bool(state))), bias=Bias.AS_IS)

    def input_with_pull(self, pull: str) -> None:
        """Read the line, pulled, in one step."""
        self._set(direction=Direction.INPUT, bias=_bias(pull, self))
        self._pull = pull

    def _set(self, **changes: Any) -> None:
        settings = LineSettings(**{**vars(self._settings), **changes})
        self._request.reconfigure_lines({self._number: settings})
        self._settings = settings
        if "direction" in changes:
            self._output = changes["direction"] is Direction.OUTPUT
            if self._output:
                self._pull = "floating"

    def _get_function(self) -> str:
        return "output" if self._output else "input"

    def _set_function(self, value: str) -> None:
        if value not in DIRECTIONS:
            raise PinInvalidFunction(f"invalid function '{value}' for {self!r} (want input or output)")
        if value == "output":
            self.output_with_state(self._get_state())
        else:
            self._set(direction=Direction.INPUT)

    def _get_state(self) -> bool:
        return self._request.get_value(self._number) is Value.ACTIVE

    def _set_state(self, value: float) -> None:
        if not self._output:
            raise PinSetInput(f"cannot set the state of input {self!r}")
        if value not in (0, 1):
            raise PinInvalidState(f"invalid state '{value}' for {self!r} (want 0 or 1: there is no PWM)")
        self._request.set_value(self._number, Value.ACTIVE if value else Value.INACTIVE)
        self._settings.output_value = Value.ACTIVE if value else Value.INACTIVE

    def _get_pull(self) -> str:
        return self._pull

    def _set_pull(self, value: str) -> None:
        if self._output:
            raise PinFixedPull(f"cannot set the pull of output {self!r}")
        self.input_with_pull(value)

    def _get_frequency(self) -> None:
        return None

    def _set_frequency(self, value: float | None) -> None:
        if value is not None:
            raise PinPWMUnsupported(f"{self!r} has no PWM (use LED, not PWMLED)")

    def _get_bounce(self) -> float | None:
        return self._settings.debounce_period.total_seconds() or None

    def _set_bounce(self, value: float | None) -> None:
        if value is not None and value < 0:
            raise PinInvalidBounce(f"invalid bounce '{value}' for {self!r} (want seconds, 0 or more)")
        period = timedelta(seconds=value or 0)
        if self._settings.direction is Direction.INPUT:
            self._set(debounce_period=period)
        else:
            self._settings.debounce_period = period

    def _get_edges(self) -> str:
        return self._edges

    def _set_edges(self, value: str) -> None:
        if value not in EDGES:
            raise PinInvalidEdges(f"invalid edges '{value}' for {self!r} (want one of {', '.join(EDGES)})")
        handler, self.when_changed = self.when_changed, None
        self._edges = value
        self.when_changed = handler

    def _enable_event_detect(self) -> None:
        try:
            self._set(direction=Direction.INPUT, edge_detection=EDGES[self._edges])
        except OSError as error:
            self._when_changed = None
            raise PinEdgeDetectUnsupported(f"the chip of {self!r} has no edge interrupts: sample it") from error
        self._factory.watcher.add(self._request.fd, self._on_readable)

    def _disable_event_detect(self) -> None:
        self._factory.watcher.remove(self._request.fd)
        self._set(edge_detection=Edge.NONE)

    def _on_readable(self) -> None:
        for event in self._request.read_edge_events():
            rising = event.event_type is event.Type.RISING_EDGE
            self._call_when_changed(event.timestamp_ns / 1e9, int(rising))


def _bias(pull: str, pin: GpiodPin) -> Bias:
    if pull not in BIASES:
        raise PinInvalidPull(f"invalid pull '{pull}' for {pin!r} (want one of {', '.join(BIASES)})")
    return BIASES[pull]


def _board_info(chip: Chip) -> Any:
    """The chip as gpiozero wants a board: one header, one pin a line, physical facts unknown."""
    info = chip.get_info()
    pins = {}
    for offset in range(info.num_lines):
        name = f"GPIO{offset}"
        names = frozenset({offset, str(offset), name, chip.get_line_info(offset).name} - {""})
        pins[offset] = PinInfo(offset, name, names, "", offset + 1, 1, frozenset({"gpio"}))
    header = HeaderInfo("GPIO", len(pins), 1, pins)
    facts = dict.fromkeys(BoardInfo._fields)
    return BoardInfo(**{**facts, "revision": "", "model": info.label, "pcb_revision": "", "headers": {"GPIO": header}})
