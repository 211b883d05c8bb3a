"""The few words of DNS that a name server for one zone needs, pure: a question in, an answer out.

Only what comes from stub resolvers is understood: one question, no compression in it. What follows the question (such
as EDNS) is passed over, which its specification allows a server that does not know it.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum
from ipaddress import IPv6Address

_header = struct.Struct(">HHHHHH")
_kind = struct.Struct(">HH")
_record = struct.Struct(">HHHIH")

LARGEST = 4096
MAX_LABELS = 32
ANSWER_BIT, RECURSION_WANTED, AUTHORITATIVE = 0x8000, 0x0100, 0x0400
OPCODE = 0x7800
POINTER_TO_NAME = 0xC000 | _header.size


class Kind(IntEnum):
    TXT = 16
    AAAA = 28
    ANY = 255


class Code(IntEnum):
    FINE = 0
    MALFORMED = 1
    FAILED = 2
    UNKNOWN_NAME = 3
    NOT_IMPLEMENTED = 4
    REFUSED = 5


INTERNET = 1


@dataclass(frozen=True, slots=True)
class Question:
    """`name` in lower case, without the last dot; `raw` is the question section as it came."""

    number: int
    flags: int
    name: str
    kind: int
    is_internet: bool
    raw: bytes


@dataclass(frozen=True, slots=True)
class Found:
    """`text` goes along as a TXT record."""

    address: IPv6Address
    text: str
    ttl_s: int


def parse(data: bytes) -> Question | Code | None:
    """A code where it has the head of a question and no more sense; None for what nobody should answer."""
    if not _header.size <= len(data) <= LARGEST:
        return None
    number, flags, questions, answers, _, _ = _header.unpack_from(data)
    if flags & ANSWER_BIT:
        return None
    if flags & OPCODE:
        return Code.NOT_IMPLEMENTED
    if questions != 1 or answers:
        return Code.MALFORMED
    labels, at = _labels(data, _header.size)
    if labels is None or at + _kind.size > len(data):
        return Code.MALFORMED
    kind, space = _kind.unpack_from(data, at)
    name = ".".join(labels).lower()
    return Question(number, flags, name, kind, space in {INTERNET, 255}, data[_header.size : at + _kind.size])


def refuse(data: bytes, code: Code) -> bytes:
    """To what `parse` gave a code for."""
    number, flags, *_ = _header.unpack_from(data)
    return _header.pack(number, ANSWER_BIT | flags & (OPCODE | RECURSION_WANTED) | code, 0, 0, 0, 0)


def answer(question: Question, code: Code, found: Found | None = None) -> bytes:
    answers, more = [], []
    if found is not None:
        address = _encode(Kind.AAAA, found.ttl_s, found.address.packed)
        text = _encode(Kind.TXT, found.ttl_s, bytes((len(found.text),)) + found.text.encode("ascii"))
        if question.kind in {Kind.AAAA, Kind.ANY}:
            answers, more = [address], [text]
        elif question.kind == Kind.TXT:
            answers, more = [text], [address]
    flags = ANSWER_BIT | question.flags & RECURSION_WANTED | code
    if code in {Code.FINE, Code.UNKNOWN_NAME}:
        flags |= AUTHORITATIVE
    head = _header.pack(question.number, flags, 1, len(answers), 0, len(more))
    return b"".join((head, question.raw, *answers, *more))


def _encode(kind: Kind, ttl_s: int, data: bytes) -> bytes:
    return _record.pack(POINTER_TO_NAME, kind, INTERNET, ttl_s, len(data)) + data


def _labels(data: bytes, at: int) -> tuple[list[str] | None, int]:
    labels: list[str] = []
    while at < len(data) and len(labels) <= MAX_LABELS:
        length = data[at]
        at += 1
        if not length:
            return labels, at
        label = data[at : at + length]
        if length > 63 or len(label) < length or not label.isascii() or b"." in label:
            return None, at
        labels.append(label.decode("ascii"))
        at += length
    return None, at
