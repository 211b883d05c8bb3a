"""What two boards say to one another while they pair, a line of JSON each (`exchange` says when):

first                                         second
  COMMIT {window, commitment}               →
                                            ←   OFFER {window, vouch, can, age_s, name, random}
  OFFER (the one committed to)              →
  SEALED {…}                                ↔   SEALED {accept | welcome | written}
  CANCEL {why}                              ↔   CANCEL {why}         at any time, and believed for what it is: an end
"""

from __future__ import annotations

from typing import Annotated, TypeVar

import msgspec

from services.pairing.errors import TalkError
from services.pairing.model import Can

VERSION = 1
MAX_LINE = 4096
RANDOM_BYTES = 32

T = TypeVar("T")

Window = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{32}\Z")]
Name = Annotated[str, msgspec.Meta(max_length=63, pattern=r"^[A-Za-z0-9.-]*\Z")]
Digest = Annotated[bytes, msgspec.Meta(min_length=32, max_length=32)]
Place = Annotated[str, msgspec.Meta(min_length=3, max_length=262)]


class _Said(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="is"):
    pass


class Commit(_Said, frozen=True, tag="commit"):
    """`window`: the name under which this board announces itself while it pairs."""

    version: int
    window: Window
    commitment: Digest


class Offer(_Said, frozen=True, tag="offer"):
    """`vouch` is the node's signed word for its key of this pairing; `age_s`, since when its button was held."""

    window: Window
    vouch: Annotated[bytes, msgspec.Meta(max_length=1024)]
    can: Can
    age_s: Annotated[float, msgspec.Meta(ge=0, le=600)]
    name: Name
    random: Digest


class Sealed(_Said, frozen=True, tag="sealed"):
    box: Annotated[bytes, msgspec.Meta(max_length=3000)]


class Cancel(_Said, frozen=True, tag="cancel"):
    why: Annotated[str, msgspec.Meta(max_length=300)]


Said = Commit | Offer | Sealed | Cancel


class Accept(_Said, frozen=True, tag="accept"):
    """By the new board: its person has seen the code."""


class Welcomed(_Said, frozen=True, tag="welcome"):
    """By the manager, whose person has seen it too."""

    manager_id: str
    at: Annotated[tuple[Place, ...], msgspec.Meta(min_length=1, max_length=4)]
    network: Name


class Written(_Said, frozen=True, tag="written"):
    """By the new board: it holds across a power cut."""


Inside = Accept | Welcomed | Written

_said: msgspec.json.Decoder[Said] = msgspec.json.Decoder(Said)
_inside: msgspec.json.Decoder[Inside] = msgspec.json.Decoder(Inside)


def read_said(line: bytes) -> Said:
    """Raises TalkError."""
    return _read(line, _said)


def read_inside(data: bytes) -> Inside:
    """Raises TalkError."""
    return _read(data, _inside)


def _read(data: bytes, decoder: msgspec.json.Decoder[T]) -> T:
    try:
        return decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise TalkError(f"the other board says something that is not understood: {error}"[:300]) from None
