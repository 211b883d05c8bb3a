"""Chunks of bytes to requests, and answers to lines. No I/O."""

from __future__ import annotations

from typing import TypeVar, cast

import msgspec

from services import lines
from services.apptracker.errors import RefusedError, WireError
from services.apptracker.model import MAX_LINE, Answer, Entries, Entry, Query, Refusal, Request

T = TypeVar("T")


class LineReader(lines.LineReader):
    """Raises WireError for a line that is too long."""

    def __init__(self, max_line: int = MAX_LINE) -> None:
        super().__init__(max_line, WireError)


def encode(value: msgspec.Struct) -> bytes:
    return msgspec.json.encode(value) + b"\n"


def is_plain(line: bytes) -> bool:
    """Whether it was typed by hand: JSON of ours begins with a brace."""
    return not line.lstrip().startswith(b"{")


def read_request(line: bytes) -> Request:
    """JSON or plain. Raises WireError with the place that does not fit."""
    return _read_plain(line) if is_plain(line) else cast("Request", _decode(line, Request))  # type: ignore[arg-type]


def encode_plain(answer: Answer) -> bytes:
    """A line for each entry, then an empty one."""
    match answer:
        case Entries():
            lines = [_plain_line(entry) for entry in answer.entries]
            lines += ["# and more: ask for one name"] if answer.more else []
            lines += [f"# without the mesh: {answer.away}"] if answer.away else []
            return "".join(f"{line}\n" for line in (*lines, "")).encode()
        case Refusal(error):
            return f"error: {error}\n".encode()
        case _:
            return encode(answer)


def _read_plain(line: bytes) -> Query:
    match line.decode("ascii", "replace").split():
        case ["all"]:
            return Query()
        case ["name", name]:
            return Query(name=name)
        case ["type", kind]:
            return Query(type=kind)
    raise WireError("not a request: ask 'all', 'name NAME', 'type TYPE', or a line of JSON such as {\"do\":\"query\"}")


def _plain_line(entry: Entry) -> str:
    words = (entry.name, entry.type, entry.endpoint, entry.node_id or entry.key, f"{entry.left_s:g}", entry.source)
    return " ".join(word or "-" for word in words)


def _decode(line: bytes, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(line, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise WireError(f"not a request: {error}") from error


def decode_answer(line: bytes, kind: type[T]) -> T:
    """Raises RefusedError with the tracker's words, or WireError."""
    try:
        refusal = msgspec.json.decode(line, type=Refusal)
    except msgspec.DecodeError:
        return _decode(line, kind)
    raise RefusedError(refusal.error)
