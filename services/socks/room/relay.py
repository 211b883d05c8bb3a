"""Two connections made one: what either says the other hears, moved by splice(2) through a pipe of the pool.

Nothing is read that the far end would not take: its free send buffer is asked for first, so a slow reader holds no
pipe and no memory of ours, and the kernel's flow control reaches the sender. Half-closed is passed on; an error on
either side resets the other, so that what is cut off does not look complete.
"""

from __future__ import annotations

import errno
import os
import select
import socket
import struct
import sys
from collections.abc import Callable

from services.socks.room.loop import IN, TROUBLE, Room
from services.socks.room.pipes import LARGE_BYTES, Pipe, Pipes

ROUNDS = 2
"""Splices of one direction before others have their turn."""

NEWS = IN | TROUBLE | select.EPOLLRDHUP

_MOVE = os.SPLICE_F_MOVE | os.SPLICE_F_NONBLOCK
_SO_MEMINFO = 55
_MEMINFO_BYTES = 36
_RESET = struct.pack("ii", 1, 0)


class _Half:
    """One direction. `first` is what was read before the relay began, and goes before all else; `waits` for its sink to
    take more.
    """

    __slots__ = ("ended", "first", "held", "moved", "pipe", "sink", "source", "waits")

    def __init__(self, source: socket.socket, sink: socket.socket, first: bytes) -> None:
        self.source, self.sink, self.first = source, sink, first
        self.pipe: Pipe | None = None
        self.held = 0
        self.moved = 0
        self.ended = self.waits = False


class Relay:
    """All pairs of one program; closes those that are idle too long."""

    def __init__(self, room: Room, pipes: Pipes, idle_s: float, half_closed_s: float) -> None:
        self.room, self.pipes = room, pipes
        self._idle_s, self._half_closed_s = idle_s, half_closed_s
        self.pairs: set[Pair] = set()
        self.stuck: dict[Pair, None] = {}
        """Those that hold bytes in a pipe, in the order in which that began."""
        self.moved = 0
        """Bytes, of pairs that have ended."""
        self._sweep_s = max(0.05, min(idle_s, half_closed_s) / 8)
        room.later(self._sweep_s, self._sweep)

    @property
    def bytes_moved(self) -> int:
        return self.moved + sum(pair.moved for pair in self.pairs)

    def join(
        self,
        one: socket.socket,
        other: socket.socket,
        ended: Callable[[], None],
        first: tuple[bytes, bytes] = (b"", b""),
    ) -> Pair:
        """Both non-blocking, both watched by the room already; `first` goes to the other, and to the one."""
        pair = Pair(self, one, other, ended, first)
        self.pairs.add(pair)
        self.room.hand_over(one.fileno(), pair.serve_one)
        self.room.hand_over(other.fileno(), pair.serve_other)
        pair.pump_both()
        return pair

    def close(self) -> None:
        for pair in tuple(self.pairs):
            pair.abort()
        self.pipes.close()

    def take_pipe(self) -> Pipe | None:
        """Where all are held, who has held one longest is cut off: it has not read for that long."""
        pipe = self.pipes.take()
        if pipe is None and self.stuck:
            next(iter(self.stuck)).abort()
            pipe = self.pipes.take()
        return pipe

    def _sweep(self) -> None:
        now_s = self.room.now_s
        for pair in tuple(self.pairs):
            patience_s = self._half_closed_s if pair.is_half_closed else self._idle_s
            if now_s - pair.active_s > patience_s:
                pair.abort()
        self.room.later(self._sweep_s, self._sweep)


class Pair:
    """Two connections; both are closed with it."""

    __slots__ = ("_back", "_ended", "_forth", "_one", "_other", "_relay", "active_s")

    def __init__(
        self,
        relay: Relay,
        one: socket.socket,
        other: socket.socket,
        ended: Callable[[], None],
        first: tuple[bytes, bytes],
    ) -> None:
        self._relay, self._one, self._other, self._ended = relay, one, other, ended
        self._forth, self._back = _Half(one, other, first[0]), _Half(other, one, first[1])
        self.active_s = relay.room.now_s

    @property
    def moved(self) -> int:
        return self._forth.moved + self._back.moved

    @property
    def is_half_closed(self) -> bool:
        return self._forth.ended or self._back.ended

    def serve_one(self, events: int) -> None:
        self._serve(events, self._one, self._forth, self._back)

    def serve_other(self, events: int) -> None:
        self._serve(events, self._other, self._back, self._forth)

    def pump_both(self) -> None:
        self._pump(self._forth)
        self._pump(self._back)

    def abort(self) -> None:
        """Both ends see a reset."""
        for end in (self._one, self._other):
            if end.fileno() >= 0:
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self._close()

    def _serve(self, events: int, end: socket.socket, out: _Half, into: _Half) -> None:
        if events & TROUBLE and end.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            self.abort()
            return
        if events & NEWS:
            self._pump(out)
        if into.waits:
            self._pump(into)

    def _pump(self, half: _Half) -> None:
        if half.ended or half.source.fileno() < 0:
            return
        half.waits = False
        try:
            again = not half.first or self._push_first(half)
            if again and self._move(half):
                self._relay.room.soon(lambda: self._pump(half))
        except OSError:
            self.abort()

    def _push_first(self, half: _Half) -> bool:
        try:
            sent = half.sink.send(half.first)
        except BlockingIOError:
            sent = 0
        half.first = half.first[sent:]
        half.waits = bool(half.first)
        half.moved += sent
        return not half.first

    def _move(self, half: _Half) -> bool:
        """Whether there may be more. Raises OSError."""
        source, sink = half.source.fileno(), half.sink.fileno()
        for _ in range(ROUNDS):
            if half.held and not self._empty(half, sink):
                return False
            room_bytes = _free_to_send(half.sink)
            if not room_bytes:
                half.waits = True
                self._relay.room.look_again(sink)
                return False
            if not self._fill(half, source, room_bytes) or not self._empty(half, sink):
                return False
        return True

    def _fill(self, half: _Half, source: int, most: int) -> bool:
        """A pipe from the source; False where it has nothing now, or has ended. Raises OSError."""
        pipes, pipe = self._relay.pipes, self._relay.take_pipe()
        if pipe is None:
            raise OSError(errno.EMFILE, "all pipes are held")
        taken = -1
        try:
            taken = os.splice(source, pipe.writing, min(most, LARGE_BYTES), flags=_MOVE)
        except BlockingIOError:
            return False
        finally:
            if taken <= 0:
                pipes.give_back(pipe)
        if not taken:
            self._end(half)
            return False
        half.pipe, half.held = pipe, taken
        return True

    def _empty(self, half: _Half, sink: int) -> bool:
        """The pipe into the sink; False where it takes no more now. Raises OSError."""
        pipe = half.pipe
        assert pipe is not None
        try:
            while half.held:
                sent = os.splice(pipe.reading, sink, half.held, flags=_MOVE)
                half.held -= sent
                self.active_s = self._relay.room.now_s
                half.moved += sent
        except BlockingIOError:
            self._relay.stuck.setdefault(self)
            half.waits = True
            return False
        half.pipe = None
        self._relay.pipes.give_back(pipe)
        if self._relay.stuck:
            self._relay.stuck.pop(self, None)
        return True

    def _end(self, half: _Half) -> None:
        half.ended = True
        if self._forth.ended and self._back.ended:
            self._close()
        else:
            half.sink.shutdown(socket.SHUT_WR)

    def _close(self) -> None:
        if self not in self._relay.pairs:
            return
        self._relay.pairs.discard(self)
        self._relay.stuck.pop(self, None)
        self._relay.moved += self.moved
        for half in (self._forth, self._back):
            if half.pipe is not None:
                self._relay.pipes.throw_away(half.pipe)
                half.pipe = None
        for end in (self._one, self._other):
            self._relay.room.forget(end.fileno())
            end.close()
        self._ended()


def _free_to_send(sink: socket.socket) -> int:
    """Bytes that the kernel will take for it at once; 0 where it is so full that the kernel calls it not writable.

    A little less than there is, since each packet's own head counts. Linux 4.12 and later.
    """
    info = sink.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, _MEMINFO_BYTES)
    whole = int.from_bytes(info[12:16], sys.byteorder)
    free = whole - int.from_bytes(info[20:24], sys.byteorder)
    return free - (free >> 4) if free << 2 >= whole else 0
