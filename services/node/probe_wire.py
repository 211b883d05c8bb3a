"""The bytes of a probe, pure: a question and its answer, which is as long and carries the same number and filling.

    1 byte kind | 8 bytes number | 16 bytes seal | filling: a note, and zeros

The seal is keyed BLAKE2b over kind, number, the address that is asked, asker, asked and filling: nobody but these two
nodes can make one, an answer is no question, and what went to one address cannot be used for another. The ranges of
the mesh know no NAT, so both ends see that address alike.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from enum import IntEnum
from ipaddress import IPv6Address

from services.keys import NodeId
from services.secrecy import Secret

NUMBER_BYTES, SEAL_BYTES = 8, 16
SMALLEST = 1 + NUMBER_BYTES + SEAL_BYTES
BELOW = 48
"""The headers of IPv6 and UDP, with which a probe is as long as a packet of that size."""

LARGEST = 1500 - BELOW
_PERSON = b"skywire probe"


class Kind(IntEnum):
    QUESTION = 0x51
    ANSWER = 0x41


@dataclass(frozen=True, slots=True)
class Probe:
    kind: Kind
    number: bytes
    seal: bytes
    filling: bytes


@dataclass(frozen=True, slots=True)
class Pair:
    """Who asks whom, with the key they share."""

    asker: NodeId
    asked: NodeId
    key: Secret


def question(pair: Pair, number: bytes, to: IPv6Address, packet_size: int, note: bytes = b"") -> bytes:
    """At least `packet_size` bytes long with the headers below it."""
    filling = note.ljust(max(0, min(packet_size - BELOW, LARGEST) - SMALLEST), b"\0")
    return _encode(pair, Kind.QUESTION, number, to, filling)


def answer(pair: Pair, asked: Probe, to: IPv6Address) -> bytes:
    """As long as the question."""
    return _encode(pair, Kind.ANSWER, asked.number, to, asked.filling)


def parse(data: bytes) -> Probe | None:
    """None for what has not the form of a probe; whether it is one says `is_sealed`."""
    if not SMALLEST <= len(data) <= LARGEST or data[0] not in tuple(Kind):
        return None
    seal = 1 + NUMBER_BYTES
    return Probe(Kind(data[0]), data[1:seal], data[seal:SMALLEST], data[SMALLEST:])


def is_sealed(pair: Pair, probe: Probe, to: IPv6Address) -> bool:
    return hmac.compare_digest(probe.seal, _seal(pair, probe.kind, probe.number, to, probe.filling))


def _encode(pair: Pair, kind: Kind, number: bytes, to: IPv6Address, filling: bytes) -> bytes:
    return bytes((kind,)) + number + _seal(pair, kind, number, to, filling) + filling


def _seal(pair: Pair, kind: Kind, number: bytes, to: IPv6Address, filling: bytes) -> bytes:
    words = hashlib.blake2b(digest_size=SEAL_BYTES, key=pair.key.reveal(), person=_PERSON)
    for part in (bytes((kind,)), number, to.packed, pair.asker.encode(), pair.asked.encode(), filling):
        words.update(part)
    return words.digest()
