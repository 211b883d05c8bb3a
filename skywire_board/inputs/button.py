"""The button: one thread that looks at its line, and a pure debouncer that turns looks into events.

Not every chip has edge interrupts (the emulated SoC has none, and says that it has). So the line is looked at every
`CALM_S` until an edge has been seen to come by itself; from then on the thread sleeps until the next one. While the
line moves, and while it is pressed, it is looked at every `BUSY_S`. A press of 80 ms is never missed.
"""

from collections.abc import Callable
from dataclasses import dataclass
from threading import Thread
from time import monotonic, sleep
from typing import Protocol

from skywire_board.model import ButtonEvent, ButtonLost, ButtonPressed, ButtonReleased

BUSY_S = 0.02
CALM_S = 0.05
TRUSTING_S = 5.0  # between two looks where edges come by themselves
QUIET_S = 1.0  # after so long without a change the calm rhythm returns
HELD_S = 12.0  # while it is held; no hold means more than one of 10 s
STABLE_SAMPLES = 2  # equal samples in a row, BUSY_S apart, that make a level


class Line(Protocol):
    """The button's line. `wait` sleeps at most so long, and tells whether an edge woke it; `has_edges`: they are known
    to come. Each raises OSError where the line cannot be read.
    """

    has_edges: bool

    def is_pressed(self) -> bool: ...

    def wait(self, most_s: float) -> bool: ...


@dataclass(slots=True)
class Debouncer:
    """Samples in, events out. `level` is the stable one, None until the first."""

    level: bool | None = None
    candidate: bool | None = None
    count: int = 0
    changed_s: float = 0.0

    def sample(self, pressed: bool, at_s: float) -> ButtonPressed | ButtonReleased | None:
        """One sample; an event when it makes a new stable level."""
        if pressed != self.candidate:
            self.candidate, self.count, self.changed_s = pressed, 1, at_s
            return None
        if pressed == self.level:
            return None
        self.count += 1
        if self.count < STABLE_SAMPLES:
            return None
        self.level, self.changed_s = pressed, at_s
        return ButtonPressed(at_s) if pressed else ButtonReleased(at_s)

    def is_busy(self, at_s: float) -> bool:
        """Whether the line has moved of late, or is held, and not for ever."""
        return self.level is None or at_s - self.changed_s < (HELD_S if self.level else QUIET_S)


class ButtonSampler:
    """Looks at `line` on a thread of its own and hands events to `post`, which must be safe to call from it."""

    def __init__(self, line: Line, post: Callable[[ButtonEvent], None]) -> None:
        self._line = line
        self._post = post
        self._stopping = False
        self._trusts = False
        self._thread = Thread(target=self._run, name="skywire-button", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def stop(self) -> None:
        """Look no more. The thread ends with its next look, by itself."""
        self._stopping = True

    def join(self) -> None:
        """Until it has ended."""
        self._thread.join()

    def _run(self) -> None:
        debouncer = Debouncer()
        self._trusts = self._line.has_edges
        woken = False
        while not self._stopping:
            try:
                at_s = monotonic()
                was_busy = debouncer.is_busy(at_s)
                event = debouncer.sample(self._line.is_pressed(), at_s)
                if event is not None:
                    self._post(event)
                if not was_busy and debouncer.is_busy(at_s):
                    self._trusts = woken  # the first change after a rest: did an edge tell of it?
                woken = self._rest(debouncer.is_busy(at_s))
            except OSError as error:
                self._post(ButtonLost(monotonic(), f"cannot read the button any more: {error}"))
                return

    def _rest(self, is_busy: bool) -> bool:
        """Until the next look; whether an edge was what ended it. Edges never hurry the looks that debounce."""
        if is_busy:
            sleep(BUSY_S)
            return False
        return self._line.wait(TRUSTING_S if self._trusts else CALM_S)
