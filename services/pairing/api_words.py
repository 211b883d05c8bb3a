"""What is said on a pairing's socket, pure: a line of JSON each. The socket is there as long as a pairing goes on.

{"do":"watch"}     {"is":"shown","stage":"comparing","code":"2431",…}, and again at each change, until it is over
{"do":"confirm"}   {"is":"done"}: as a short press of the button
{"do":"cancel"}    {"is":"done"}
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from services.errors import shown as quoted
from services.pairing.errors import ApiError

SOCKET = Path("/run/skywire/mesh/pairing.sock")
MAX_LINE = 4096


class _Request(msgspec.Struct, frozen=True, tag_field="do", forbid_unknown_fields=True):
    pass


class _Answer(msgspec.Struct, frozen=True, tag_field="is"):
    pass


class Watch(_Request, frozen=True, tag="watch"):
    pass


class Confirm(_Request, frozen=True, tag="confirm"):
    pass


class Cancel(_Request, frozen=True, tag="cancel"):
    pass


Request = Watch | Confirm | Cancel


class Shown(_Answer, frozen=True, tag="shown"):
    """`stage`: looking, talking, comparing, joining, confirmed, refused. `part`: manager or new, once it is known."""

    stage: str
    text: str
    code: str = ""
    other: str = ""
    part: str = ""
    candidates: tuple[str, ...] = ()

    @property
    def is_over(self) -> bool:
        return self.stage in {"confirmed", "refused"}


class Done(_Answer, frozen=True, tag="done"):
    pass


class Refused(_Answer, frozen=True, tag="refused"):
    why: str


Answer = Shown | Done | Refused

_requests: msgspec.json.Decoder[Request] = msgspec.json.Decoder(Request)
_answers: msgspec.json.Decoder[Answer] = msgspec.json.Decoder(Answer)


def read_request(line: bytes) -> Request:
    """Raises ApiError."""
    try:
        return _requests.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ApiError(f"not a request: {error} ({quoted(line[:80].decode(errors='replace'))})") from None


def read_answer(line: bytes) -> Answer:
    """Raises ApiError."""
    try:
        return _answers.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ApiError(f"the pairing answers something that is not understood: {error}") from None
