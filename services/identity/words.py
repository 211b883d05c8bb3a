"""What is said on the identity's socket, pure: one line of JSON asks, one answers, then the connection ends.

{"do":"show"}                                   {"is":"shown","node_id":"31ab…"}
{"do":"export"}                                 {"is":"exported","node_id":"31ab…","words":["abandon",…]}
{"do":"restore","words":"abandon …"}            {"is":"restored","node_id":"77c0…","before":"31ab…"}
"""

from __future__ import annotations

import msgspec

from services.identity.errors import DoorError
from services.lines import decode

SOCKET = "/run/skywire/identity.sock"
MAX_LINE = 8192


class _Request(msgspec.Struct, frozen=True, tag_field="do", forbid_unknown_fields=True):
    pass


class _Answer(msgspec.Struct, frozen=True, tag_field="is"):
    pass


class Show(_Request, frozen=True, tag="show"):
    """Whose board this is. Answered by `Shown`."""


class Export(_Request, frozen=True, tag="export"):
    """The words that are the identity. Answered by `Exported`."""


class Restore(_Request, frozen=True, tag="restore"):
    """Be the identity of these words from the next boot on; with `look`, only tell whose they are."""

    words: str
    look: bool = False


Request = Show | Export | Restore


class Shown(_Answer, frozen=True, tag="shown"):
    node_id: str


class Exported(_Answer, frozen=True, tag="exported"):
    """24 words. Whoever has them is this node."""

    node_id: str
    words: tuple[str, ...]


class Restored(_Answer, frozen=True, tag="restored"):
    """`node_id` is that of the words; it waits for the next boot, unless it is `before`, the present one, already."""

    node_id: str
    before: str


class Refused(_Answer, frozen=True, tag="refused"):
    text: str


Answer = Shown | Exported | Restored | Refused

_REQUESTS = msgspec.json.Decoder(Request)
_ANSWERS = msgspec.json.Decoder(Answer)


def read_request(line: bytes) -> Request:
    """Raises DoorError, without a word of what came."""
    try:
        request: Request = _REQUESTS.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise DoorError("that is no request: expected show, export or restore") from None
    return request


def read_answer(line: bytes) -> Answer:
    """Raises DoorError."""
    answer: Answer = decode(line, _ANSWERS, DoorError, "an answer")
    return answer
