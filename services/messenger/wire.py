"""Words and frames between two messengers. No I/O: chunks in, words out, and back.

    frame    length u32, big endian | that many bytes: one word in MessagePack, at most 96 KiB

Both ends say Hello first. Then a Post is answered by its number, in an Ack of many or a Nack of one, once what it holds
lies on the disk; many are under way at once. Deposit is for mailboxes and says nothing of who deposits. File bytes are
asked for in stretches. Whoever must end a connection says Bye, and why.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Annotated

import msgspec

from services.errors import IdentityError
from services.keys import NodeId, read_node_id
from services.messenger.errors import WireError
from services.messenger.model import MAX_FILE, MAX_SEALED, Body, Id, Number, Stream, Why

VERSION = 1
MAX_FRAME = 96 * 1024
MAX_CHUNK = 48 * 1024
MAX_STRETCH = 1 << 20
MAX_ACKED = 2048
MAX_VOUCH = 4096

_length = struct.Struct(">I")


class _Word(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    pass


class Hello(_Word, frozen=True, tag=0):
    """`stream` tells apart the stores of one node: numbers begin anew in another. `key`: its node's word for the key of
    its messenger, or empty.
    """

    version: int
    node_id: NodeId
    stream: Stream
    key: Annotated[bytes, msgspec.Meta(max_length=MAX_VOUCH)] = b""


class Post(_Word, frozen=True, tag=1):
    """`number` counts what its sender posts to this receiver; `body` is a Body."""

    number: Number
    body: Annotated[bytes, msgspec.Meta(max_length=MAX_FRAME - 64)]


class Ack(_Word, frozen=True, tag=2):
    numbers: Annotated[tuple[Number, ...], msgspec.Meta(max_length=MAX_ACKED)]


class Nack(_Word, frozen=True, tag=3):
    """`again`: not now, but perhaps later."""

    number: Number
    why: Why
    again: bool = False


class Deposit(_Word, frozen=True, tag=4):
    """`ticket` is the depositor's, for the answer."""

    ticket: Number
    to: NodeId
    token: Id
    sealed: Annotated[bytes, msgspec.Meta(max_length=MAX_SEALED)]


class Deposited(_Word, frozen=True, tag=5):
    """`why` is empty where it is kept."""

    ticket: Number
    why: Why = ""


class Fetch(_Word, frozen=True, tag=6):
    """The next bytes of a file that was offered."""

    file: Id
    offset: Annotated[int, msgspec.Meta(ge=0, le=MAX_FILE)]
    count: Annotated[int, msgspec.Meta(ge=1, le=MAX_STRETCH)]


class Chunk(_Word, frozen=True, tag=7):
    file: Id
    offset: Annotated[int, msgspec.Meta(ge=0, le=MAX_FILE)]
    data: Annotated[bytes, msgspec.Meta(min_length=1, max_length=MAX_CHUNK)]


class Gone(_Word, frozen=True, tag=8):
    """That file is not to be had."""

    file: Id
    why: Why


class Bye(_Word, frozen=True, tag=9):
    why: Why


Word = Hello | Post | Ack | Nack | Deposit | Deposited | Fetch | Chunk | Gone | Bye

_encoder = msgspec.msgpack.Encoder()
_words = msgspec.msgpack.Decoder(Word)
_bodies = msgspec.msgpack.Decoder(Body)


class FrameReader:
    """Never holds more than one frame and what came with it."""

    def __init__(self) -> None:
        self._data = bytearray()

    @property
    def half_frame(self) -> bool:
        return bool(self._data)

    def feed(self, data: bytes) -> list[Word]:
        """The words this chunk completed. Raises WireError; then the connection is of no more use."""
        self._data += data
        return list(self._whole())

    def _whole(self) -> Iterator[Word]:
        at = 0
        try:
            while len(self._data) - at >= _length.size:
                (size,) = _length.unpack_from(self._data, at)
                if not 0 < size <= MAX_FRAME:
                    raise WireError(f"a frame of {size} bytes: at least 1 and at most {MAX_FRAME}")
                if len(self._data) - at - _length.size < size:
                    return
                at += _length.size + size
                yield read_word(bytes(self._data[at - size : at]))
        finally:
            del self._data[:at]


def frame(word: Word) -> bytes:
    data = _encoder.encode(word)
    return _length.pack(len(data)) + data


def read_word(data: bytes) -> Word:
    """Raises WireError."""
    try:
        word: Word = _words.decode(data)
        if isinstance(word, Hello):
            read_node_id(word.node_id)
        elif isinstance(word, Deposit):
            read_node_id(word.to)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise WireError(f"not a word of this wire: {error}") from None
    except IdentityError as error:
        raise WireError(str(error)) from None
    return word


def pack_body(body: Body) -> bytes:
    return _encoder.encode(body)


def read_body(data: bytes) -> Body:
    """Raises WireError; the texts' sizes in bytes are looked at by whoever takes them."""
    try:
        body: Body = _bodies.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise WireError(f"not understood: {error}") from None
    return body
