"""Bytes to frames and back, exactly as the original library writes them (big endian).

    NORMAL  01 | seq u32 | len u32 | body        ACK   80 | seq u32
    PING    81 | unix-ms u64                     PONG  82 | unix-ms u64

No I/O and no meaning: what a frame may say, and when, is `session`'s business.
"""

from __future__ import annotations

import struct

from viscript.signal.errors import RemoteError
from viscript.signal.model import MAX_BODY, Ack, Frame, Normal, Ping, Pong

NORMAL, ACK, PING, PONG = 0x01, 0x80, 0x81, 0x82
_U32 = struct.Struct(">BI")
_U64 = struct.Struct(">BQ")
_HEAD = struct.Struct(">BII")


def encode(frame: Frame) -> bytes:
    match frame:
        case Normal(seq, body):
            return _HEAD.pack(NORMAL, seq, len(body)) + body
        case Ack(seq):
            return _U32.pack(ACK, seq)
        case Ping(unix_ms):
            return _U64.pack(PING, unix_ms)
        case Pong(unix_ms):
            return _U64.pack(PONG, unix_ms)


class FrameReader:
    """Collects bytes and hands out whole frames; never holds more than one frame and what came with it."""

    def __init__(self, max_body: int = MAX_BODY) -> None:
        self._max_body = max_body
        self._data = bytearray()
        self.count = 0

    @property
    def half_frame(self) -> bool:
        return bool(self._data)

    def feed(self, data: bytes) -> None:
        self._data += data

    def next_frame(self) -> Frame | None:
        """The next whole frame, or None when more bytes are needed. Raises RemoteError."""
        if not self._data:
            return None
        kind = self._data[0]
        if kind == NORMAL:
            return self._next_normal()
        if kind == ACK:
            raw = self._take(_U32.size)
            return None if raw is None else Ack(_U32.unpack(raw)[1])
        if kind in {PING, PONG}:
            raw = self._take(_U64.size)
            if raw is None:
                return None
            return Ping(_U64.unpack(raw)[1]) if kind == PING else Pong(_U64.unpack(raw)[1])
        raise RemoteError(f"unknown frame type 0x{kind:02x}")

    def _next_normal(self) -> Normal | None:
        if len(self._data) < _HEAD.size:
            return None
        _, seq, size = _HEAD.unpack_from(self._data)
        if size > self._max_body:
            raise RemoteError(f"body of {size} bytes, at most {self._max_body} allowed")
        if size == 0:
            raise RemoteError("empty body, expected an operation")
        raw = self._take(_HEAD.size + size)
        return None if raw is None else Normal(seq, raw[_HEAD.size :])

    def _take(self, size: int) -> bytes | None:
        if len(self._data) < size:
            return None
        raw = bytes(self._data[:size])
        del self._data[:size]
        self.count += 1
        return raw
