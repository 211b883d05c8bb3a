"""One open connection to another board: calls go out, replies find their caller by id, bytes are counted.

The board at the other end is not trusted: a reply that nobody waits for, a line too long or no line at all ends the
connection, and every caller then gets the reason as the reply. Silence is the caller's to notice.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import time

import msgspec

from viscript.api.model import MAX_LINE, NODE_AWAY, Call, Failure, Reply, Request
from viscript.api.wire import decode_line, encode_line
from viscript.cluster.traffic import Traffic
from viscript.errors import ProtocolError

GARBLED = "garbled"
MAX_WAITING = 64
"""Calls under way, and calls given up whose reply may still come."""

UNACKNOWLEDGED_MS = 4_000
"""How long sent bytes may stay without the other machine's word, while somebody waits."""

QUIET_S = 5
"""After so long the kernel asks whether the other machine is still there, while somebody waits: a board that dies
during a long call is noticed before the call's deadline. An idle connection sends nothing.
"""

_TCP_INFO_MIN_RTT = struct.Struct("148x I")


class Line:
    """`ended` is None as long as the connection can be used."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._waiting: dict[int, asyncio.Future[Reply]] = {}
        self._given_up: set[int] = set()
        self._last_id = 0
        self.ended: Failure | None = None
        self.traffic = Traffic()
        self._took_s: float | None = None
        self._watched = False
        self._socket: socket.socket = writer.get_extra_info("socket")
        _set_patience(self._socket)
        self._reading = asyncio.get_running_loop().create_task(self._read())

    async def call(self, request: Request, deadline_s: float) -> Reply:
        """The board's reply, or one with the reason why there is none."""
        self._last_id += 1
        call_id = self._last_id
        if failure := self.ended or self._crowded():
            return Reply(call_id, error=failure)
        self._send(Call(call_id, request))
        begun, heard = time.monotonic(), self.traffic.received_bytes
        future: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self._waiting[call_id] = future
        self._watch()
        try:
            async with asyncio.timeout(deadline_s):
                reply = await future
            self._took_s = time.monotonic() - begun
            return reply
        except TimeoutError:
            failure = Failure(NODE_AWAY, f"nothing within {deadline_s:.0f} s")
            if self.traffic.received_bytes == heard:
                self.end(failure)  # not slow but dead: the next caller gets a new connection
            return Reply(call_id, error=failure)
        finally:
            if self._waiting.pop(call_id, None) is not None:
                self._give_up(call_id)
            self._watch()

    def read_rtt_s(self) -> float | None:
        """The shortest round trip that the kernel saw in the last minutes: the smoothed one contains how long the other
        end thought before it answered. Where no kernel tells, that of the last call.
        """
        if self.ended is not None or not hasattr(socket, "TCP_INFO"):
            return self._took_s
        try:
            data = self._socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO_MIN_RTT.size)
        except OSError:
            return self._took_s
        if len(data) < _TCP_INFO_MIN_RTT.size:
            return self._took_s
        return float(_TCP_INFO_MIN_RTT.unpack(data)[0]) / 1e6

    def end(self, failure: Failure) -> None:
        """Everybody who waits gets `failure`."""
        if self.ended is not None:
            return
        self.ended = failure
        for call_id, future in self._waiting.items():
            if not future.done():
                future.set_result(Reply(call_id, error=failure))
        self._reading.cancel()
        self._writer.transport.abort()

    async def wait_ended(self) -> None:
        await asyncio.gather(self._reading, return_exceptions=True)

    def _watch(self) -> None:
        """Have the kernel look after the other machine as long as a call waits for it."""
        watched = bool(self._waiting)
        if self.ended is None and watched is not self._watched:
            self._watched = watched
            with contextlib.suppress(OSError):  # lost, and `_read` is about to say so
                self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, watched)

    def _give_up(self, call_id: int) -> None:
        self._given_up.add(call_id)
        if len(self._given_up) > MAX_WAITING:
            self.end(Failure(NODE_AWAY, "it answers too little"))

    def _crowded(self) -> Failure | None:
        if len(self._waiting) >= MAX_WAITING:
            return Failure(NODE_AWAY, f"{MAX_WAITING} calls wait for it already")
        if self._writer.transport.get_write_buffer_size() > MAX_LINE:
            return Failure(NODE_AWAY, "it does not read what it is sent")
        return None

    def _send(self, call: Call) -> None:
        data = encode_line(call)
        self._writer.write(data)
        self.traffic.sent_bytes += len(data)

    async def _read(self) -> None:
        try:
            while (line := await self._reader.readline()).endswith(b"\n"):
                self.traffic.received_bytes += len(line)
                self._take(decode_line(line, Reply))
            self.end(Failure(NODE_AWAY, "it closed the connection"))
        except ProtocolError as error:
            self.end(Failure(GARBLED, str(error)))
        except ValueError:  # asyncio's word for a line above the limit
            self.end(Failure(GARBLED, f"a line of more than {MAX_LINE} bytes"))
        except OSError as error:
            self.end(Failure(NODE_AWAY, error.strerror or str(error)))

    def _take(self, reply: Reply) -> None:
        """Raises ProtocolError for what nobody asked for."""
        if reply.id == 0 and reply.error is not None:
            self.end(reply.error)
        elif future := self._waiting.pop(reply.id, None):
            if not future.done():
                future.set_result(reply)
        elif reply.id in self._given_up:
            self._given_up.remove(reply.id)
        else:
            raise ProtocolError(f"a reply to call {reply.id}, which nobody made")


def _set_patience(connection: socket.socket) -> None:
    """As far as this system's kernel has a say in it."""
    wanted = (("TCP_USER_TIMEOUT", UNACKNOWLEDGED_MS), ("TCP_KEEPIDLE", QUIET_S), ("TCP_KEEPINTVL", 2))
    for name, value in wanted:
        if hasattr(socket, name):
            connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def check_result(reply: Reply, kind: type[msgspec.Struct]) -> Reply:
    """The reply, its result taken apart and put together again: what other readers choke on does not get past."""
    if reply.error is not None:
        return reply
    try:
        result = msgspec.json.encode(decode_line(reply.result, kind))
    except ProtocolError as error:
        return Reply(reply.id, error=Failure(GARBLED, str(error)))
    return Reply(reply.id, result=msgspec.Raw(result))
