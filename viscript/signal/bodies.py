"""What is in a frame's body: an operation, a request's id where ids were agreed on, and JSON.

    op u8 | JSON                            as the original has it
    op u8 with bit 0x40 | id u32 | JSON     between ends that agreed on "ids"; a response has bit 0x80 as well

    REG        {"Id":7,"Offer":["ids","report","log-level","command"]}  →  {"Id":7,"Accept":[…]}, or an echo
    REPORT=3   null → {"Status","LogLevel","Fields":{},"Commands":[],"Usage":{"Pid","CpuS","Rss",…}}
    LOG_LEVEL=4  {"Level":"DEBUG"} → {"Level"}      COMMAND=5  {"Name","Args":[]} → {"Text"}
    Each of these three may be answered by {"Error":"why not"}.

What is not of the expected type raises RemoteError, here and nowhere else.
"""

from __future__ import annotations

import struct
from typing import Annotated, Any

import msgspec

from viscript.signal.errors import RemoteError
from viscript.signal.model import (
    NUMBERED,
    RESPONSE,
    Ask,
    Command,
    Extension,
    Level,
    Pid,
    Refusal,
    Report,
    Text,
)

NULL = b"null"
MAX_ID = 2**63 - 1
_HEAD = struct.Struct(">BI")
_MALFORMED = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class RegBody(msgspec.Struct, frozen=True, rename="pascal", omit_defaults=True):
    """`{"Id":7}`, and what the program can do beyond the original; the original ignores unknown keys."""

    id: Annotated[int, msgspec.Meta(ge=0, le=MAX_ID)]
    offer: tuple[str, ...] | None = None


class _RegAnswer(msgspec.Struct, frozen=True, rename="pascal"):
    id: int
    accept: tuple[str, ...]


_decode_reg = msgspec.json.Decoder(RegBody).decode
_decode_any = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode

REQUESTS: dict[Ask, Any] = {Ask.LOG_LEVEL: Level, Ask.COMMAND: Command}
"""Types of the requests that carry something; the others carry null, which is not looked at."""

ANSWERS: dict[Ask, Any] = {
    Ask.TOP: dict[str, Any],
    Ask.PING: Any,
    Ask.SHUTDOWN: Pid,
    Ask.REPORT: Report,
    Ask.LOG_LEVEL: Level,
    Ask.COMMAND: Text,
}
_CAN_REFUSE = frozenset({Ask.REPORT, Ask.LOG_LEVEL, Ask.COMMAND})


def encode_body(code: int, value: object, number: int | None = None) -> bytes:
    """`code` is the operation, with RESPONSE in an answer; `number` the request's id where ids are agreed on."""
    text = NULL if value is None else _encode(value)
    return bytes((code,)) + text if number is None else _HEAD.pack(code | NUMBERED, number) + text


def split_number(body: bytes) -> tuple[int, int, bytes]:
    """Operation byte without the mark of a number, the number, and the JSON text. Raises RemoteError."""
    if not body[0] & NUMBERED:
        raise RemoteError(f"operation byte 0x{body[0]:02x} carries no request id, which was agreed on")
    if len(body) < _HEAD.size:
        raise RemoteError(f"body of {len(body)} bytes has no room for a request id")
    code, number = _HEAD.unpack_from(body)
    return code & ~NUMBERED, number, body[_HEAD.size :]


def read_op(code: int) -> Ask:
    try:
        return Ask(code & ~RESPONSE)
    except ValueError:
        raise RemoteError(f"unknown operation {code & ~RESPONSE}") from None


def read_reg(text: bytes) -> RegBody:
    try:
        return _decode_reg(text)
    except _MALFORMED as error:
        raise RemoteError(f"registration is malformed: {error}") from error


def make_reg_answer(reg: RegBody, accepted: frozenset[Extension]) -> object:
    """The key differs from the offer's, so that a server that merely echoes accepts nothing."""
    return _RegAnswer(reg.id, tuple(name.value for name in Extension if name in accepted))


def read_accepted(text: bytes) -> frozenset[str]:
    """Names in the server's answer to REG; none in the original's, whatever it says. Raises RemoteError."""
    answer = read_any(text)
    if not isinstance(answer, dict) or "Accept" not in answer:
        return frozenset()
    try:
        return frozenset(msgspec.convert(answer["Accept"], tuple[str, ...]))
    except msgspec.ValidationError as error:
        raise RemoteError(f"answer to REG is malformed: {error}") from error


def read_any(text: bytes) -> object:
    if text == NULL:
        return None
    try:
        return _decode_any(text)
    except _MALFORMED as error:
        raise RemoteError(f"body is not JSON: {error}") from error


def read_request(op: Ask, text: bytes) -> object:
    value = read_any(text)
    kind = REQUESTS.get(op)
    return None if kind is None else _convert(value, kind, f"request {op.name}")


def read_answer(op: Ask, text: bytes) -> object:
    """The answer as its type, or a Refusal where one is allowed."""
    value = read_any(text)
    if op is Ask.PING:
        return None
    if op in _CAN_REFUSE and isinstance(value, dict) and "Error" in value:
        return _convert(value, Refusal, f"answer to {op.name}")
    return _convert(value, ANSWERS[op], f"answer to {op.name}")


def _convert(value: object, kind: Any, what: str) -> object:
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise RemoteError(f"{what} is malformed: {error}") from error
