"""The button: one thread that samples its line, and a pure debouncer that turns samples into events.

Sampled because not every chip has edge interrupts (the emulated SoC has none). The line is read every
`CALM_S`, and every `BUSY_S` from the first change until it has been quiet for a while: a press of 60 ms is
never missed, and an idle board sleeps. A thread, since a bare sleep costs a third of a timer in the event
loop.
"""

from collections.abc import Callable
from dataclasses import dataclass
from threading import Thread
from time import monotonic, sleep

from skywire_board.model import ButtonEvent, ButtonLost, ButtonPressed, ButtonReleased

BUSY_S = 0.02
CALM_S = 0.04
QUIET_S = 1.0  # after so long without a change the calm rhythm returns
STABLE_SAMPLES = 2  # equal samples in a row, BUSY_S apart, that make a level


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

    def pause_s(self, at_s: float) -> float:
        """How long to sleep before the next sample."""
        return BUSY_S if at_s - self.changed_s < QUIET_S or self.level is None else CALM_S


class ButtonSampler:
    """Reads `read` on a thread of its own and hands events to `post`, which must be safe to call from it."""

    def __init__(self, read: Callable[[], bool], post: Callable[[ButtonEvent], None]) -> None:
        self._read = read
        self._post = post
        self._stopping = False
        self._thread = Thread(target=self._run, name="skywire-button", daemon=True)

    def start(self) -> None:
        """Begin to sample."""
        self._thread.start()

    def stop(self) -> None:
        """Sample no more."""
        self._stopping = True
        self._thread.join()

    def _run(self) -> None:
        debouncer = Debouncer()
        while not self._stopping:
            at_s = monotonic()
            try:
                event = debouncer.sample(self._read(), at_s)
            except OSError as error:
                self._post(ButtonLost(at_s, f"cannot read the button any more: {error}"))
                return
            if event is not None:
                self._post(event)
            sleep(debouncer.pause_s(at_s))
