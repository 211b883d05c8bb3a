"""Joins a session to an asyncio transport: hands events on, writes what the session has to say, keeps deadlines.

Both ends use it; it decides nothing. A peer that is silent, leaves a frame half sent or reads nothing is
dropped; while it reads nothing, nothing more is read from it, so memory per connection stays bounded. A
deadline costs a timer that is looked at when it is due, not one for each read.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, cast

from viscript.signal.errors import LocalError, RemoteError
from viscript.signal.model import READ_DEADLINE_S, Broken

if TYPE_CHECKING:
    from viscript.signal.model import Event
    from viscript.signal.session import Session

CLOSE_DEADLINE_S = 1.0
BUFFER = 65_536


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds: until the peer has registered, of silence after that, for a frame once begun, and while it reads
    nothing of what it should.
    """

    register_s: float = 10.0
    silence_s: float = READ_DEADLINE_S
    half_frame_s: float = 10.0
    write_s: float = 10.0


class End(Protocol):
    """Who uses a line. `handle` raises RemoteError to end it; `closed` is told why, once, after `opened`."""

    def opened(self, line: Line) -> None: ...

    def handle(self, event: Event) -> None: ...

    def closed(self, reason: str) -> None: ...


class Line(asyncio.Protocol):
    """One connection's session and transport."""

    def __init__(self, session: Session, end: End, patience: Patience) -> None:
        self.session = session
        self.faulty = False
        """Whether it ended by the peer's fault."""
        self._end = end
        self._loop = asyncio.get_running_loop()
        self._patience = patience
        self._patience_s = patience.register_s
        self._reason = ""
        self._heard_at = 0.0
        self._sending_soon = False
        self._silence: asyncio.TimerHandle | None = None
        self._half: asyncio.TimerHandle | None = None
        self._full: asyncio.TimerHandle | None = None
        self.transport: asyncio.Transport = cast("asyncio.Transport", None)

    def settle(self) -> None:
        """The peer has registered: from now on it may be silent for as long as the original allows."""
        self._patience_s = self._patience.silence_s
        if self._silence is not None:
            self._silence.cancel()
        self._silence = self._loop.call_later(self._patience_s, self._check_silence)

    def send(self) -> None:
        """Write what the session has to say."""
        output = self.session.take_output()
        if output and not self.transport.is_closing():
            self.transport.write(output)

    def end(self, reason: str) -> None:
        """Close at once, for that fault of the peer's."""
        if not self._reason:
            self._reason, self.faulty = reason, True
        self.session.close()
        self.transport.abort()

    def close(self) -> None:
        """Let what was written leave, but not for longer than a slow peer may take."""
        self._reason = self._reason or "closed by us"
        self.session.close()
        self.transport.close()
        self._loop.call_later(CLOSE_DEADLINE_S, self.transport.abort)

    # What asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.transport.set_write_buffer_limits(high=BUFFER)
        self._heard_at = self._loop.time()
        self._silence = self._loop.call_later(self._patience_s, self._check_silence)
        self._end.opened(self)

    def data_received(self, data: bytes) -> None:
        session = self.session
        session.feed(data)
        try:
            while (event := session.next_event()) is not None:
                if isinstance(event, Broken):
                    self.end(event.reason)
                    return
                self._end.handle(event)
        except (RemoteError, LocalError) as error:
            self.end(str(error))
            return
        self._heard_at = self._loop.time()
        if session.half_frame and self._half is None:
            self._watch_half_frame()
        if session.has_output and not self._sending_soon:
            # Whoever waits for an answer runs first: an ACK and the next question then leave together.
            self._sending_soon = True
            self._loop.call_soon(self._send_soon)

    def pause_writing(self) -> None:
        self.transport.pause_reading()
        self._full = self._loop.call_later(self._patience.write_s, self.end, "the peer reads nothing")

    def resume_writing(self) -> None:
        if self._full is not None:
            self._full.cancel()
        self.transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        for timer in (self._silence, self._half, self._full):
            if timer is not None:
                timer.cancel()
        self.session.close()
        self._end.closed(self._reason or (str(exc) if exc else "closed by the peer"))

    # Deadlines

    def _send_soon(self) -> None:
        self._sending_soon = False
        self.send()

    def _check_silence(self) -> None:
        left_s = self._heard_at + self._patience_s - self._loop.time()
        if left_s <= 0:
            self.end("half a frame, then silence" if self.session.half_frame else "silence")
        else:
            self._silence = self._loop.call_later(left_s, self._check_silence)

    def _watch_half_frame(self) -> None:
        self._half = self._loop.call_later(
            self._patience.half_frame_s, self._check_half_frame, self.session.frames_read
        )

    def _check_half_frame(self, frames_read: int) -> None:
        """A frame once begun must be finished soon, however it drips."""
        self._half = None
        if self.session.half_frame and self.session.frames_read == frames_read:
            self.end("half a frame, then silence")
        elif self.session.half_frame:
            self._watch_half_frame()
