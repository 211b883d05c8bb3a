"""What is said on the board's socket, pure: one line of JSON asks, one answers, in order.

{"do":"status"}
{"is":"status","pattern":"online","text":"the mesh works","claimed":true,"slot":"A",…}
{"do":"say","source":"pairing","state":"pairing","code":"2431","text":"waiting for the other board"}
{"is":"done"}
{"do":"follow"}                      {"is":"done"}, and from then on, in between: {"is":"act","act":"short"}
{"do":"press","act":"short"}         {"is":"done"}, for root, admin and viscript alone

What is said holds as long as the connection, and is replaced by what it says next. One connection may say and follow.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import msgspec

SOCKET = Path("/run/skywire/board/board.sock")
MAX_LINE = 4096
MAX_TEXT = 400

Act = Literal["short", "double", "hold3", "hold10", "release"]
"""What the button was understood to do. `release`: let go in the countdown, which called everything off."""

SayState = Literal["pairing", "updating", "joining", "confirmed", "refused", "resetting", "fault", "note"]
"""`confirmed` and `refused` flash for 3 s; the others hold."""

Text = Annotated[str, msgspec.Meta(max_length=MAX_TEXT)]
Source = Annotated[str, msgspec.Meta(min_length=1, max_length=32, pattern="^[a-z0-9-]+$")]
Code = Annotated[str, msgspec.Meta(max_length=6, pattern="^[0-9]*$")]
Blinks = Annotated[int, msgspec.Meta(ge=0, le=9)]


class _Request(msgspec.Struct, frozen=True, tag_field="do", forbid_unknown_fields=True):
    pass


class _Answer(msgspec.Struct, frozen=True, tag_field="is"):
    pass


class GetStatus(_Request, frozen=True, tag="status"):
    """Answered by `Status`."""


class Say(_Request, frozen=True, tag="say"):
    """`code`: digits, blinked in turns with the pattern of `pairing`. `blinks`: the cause of a `fault`, a row of
    `patterns.CAUSES`. Answered by `Done`.
    """

    source: Source
    state: SayState
    text: Text = ""
    code: Code = ""
    blinks: Blinks = 0


class Follow(_Request, frozen=True, tag="follow"):
    """Answered by `Done`; then an `Acted` for each act of the button. Who says `pairing` and follows takes the short
    press from `identify`.
    """


class Press(_Request, frozen=True, tag="press"):
    """As if the button did it, without the hold and without the countdown. Answered by `Done`."""

    act: Act


Request = GetStatus | Say | Follow | Press


class TroubleRow(msgspec.Struct, frozen=True):
    """`severity`: note, warn or fault; `blinks`: the code of a fault, else 0."""

    code: str
    title: str
    severity: str
    text: str
    blinks: int = 0


class Status(_Answer, frozen=True, tag="status"):
    """`pattern` is a row of `patterns.PROGRAMS`, shown for `since_s`; `blinks` the fault's code. `mesh`: online,
    joining, degraded, or unknown. `verdict` of a trial: empty where there is none, trial, good, or failed. `said`: by
    source, what is said now.
    """

    pattern: str
    text: str
    blinks: int
    since_s: float
    claimed: bool
    slot: str
    trial: bool
    rolled_back: str
    troubles: tuple[TroubleRow, ...]
    board: str
    mesh: str = "unknown"
    verdict: str = ""
    said: dict[str, str] = {}
    watchdog: str = ""


class Acted(_Answer, frozen=True, tag="act"):
    act: Act


class Done(_Answer, frozen=True, tag="done"):
    pass


class Refused(_Answer, frozen=True, tag="refused"):
    why: str


Answer = Status | Acted | Done | Refused

_REQUESTS: msgspec.json.Decoder[Request] = msgspec.json.Decoder(Request)
_ANSWERS: msgspec.json.Decoder[Answer] = msgspec.json.Decoder(Answer)
_ENCODER = msgspec.json.Encoder()


def line(word: Request | Answer) -> bytes:
    """One line, with its end."""
    return _ENCODER.encode(word) + b"\n"


def read_request(text: bytes) -> Request:
    """Raises msgspec.DecodeError, whose text names the key."""
    return _REQUESTS.decode(text)


def read_answer(text: bytes) -> Answer:
    """Raises msgspec.DecodeError."""
    return _ANSWERS.decode(text)
