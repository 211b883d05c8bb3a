"""HTTP/1.1 as far as RAUC's streaming needs it, both ways, and no further. Pure: a head in, what to send out.

GET and HEAD of one path, at most one byte range, no body, connections kept alive; anything else is refused with a
sentence. Sources: RFC 9110 (14: ranges), RFC 9112 (messages).
"""

from __future__ import annotations

import re
from typing import NamedTuple

from services.updates.errors import RequestError

MAX_HEAD = 8 << 10
MAX_FIELDS = 64
HEAD_END = b"\r\n\r\n"

_LINE = re.compile(r"([A-Z]{1,16}) (/[!-~]{0,1023}) HTTP/1\.([01])")
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}")
_VALUE = re.compile(r"[\t -~\x80-\xff]*")
_RANGE = re.compile(r"bytes=(\d{0,15})-(\d{0,15})")
_SHOWN = {200: "OK", 206: "Partial Content"}
_REASONS = {
    400: "Bad Request",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    416: "Range Not Satisfiable",
    431: "Request Header Fields Too Large",
    503: "Service Unavailable",
    505: "HTTP Version Not Supported",
}


class Request(NamedTuple):
    """`wanted` is the value of Range, or empty; `stays`: the connection is kept."""

    path: str
    is_head: bool
    wanted: str
    stays: bool


class Reply(NamedTuple):
    """The bytes of the head, and which bytes of the object follow it: from `start` up to `stop`."""

    head: bytes
    start: int
    stop: int


def read_head(head: bytes) -> Request:
    """All up to the empty line. Raises RequestError."""
    line, *fields = head.removesuffix(HEAD_END).decode("latin-1").split("\r\n")
    found = _LINE.fullmatch(line)
    if found is None:
        code = 505 if line.endswith(("HTTP/2.0", "HTTP/3.0")) else 400
        raise RequestError(code, "expected GET or HEAD of a path, by HTTP/1.1")
    if found[1] not in {"GET", "HEAD"}:
        raise RequestError(405, f"'{found[1]}' is not done here: GET and HEAD alone")
    known = _read_fields(fields)
    if known.get("transfer-encoding") or known.get("content-length", "0") != "0":
        raise RequestError(400, "a request here has no body")
    if found[3] == "1" and "host" not in known:
        raise RequestError(400, "no Host was named (RFC 9112, 3.2)")
    ways = {word.strip().lower() for word in known.get("connection", "").split(",")}
    stays = "close" not in ways and (found[3] == "1" or "keep-alive" in ways)
    return Request(found[2], found[1] == "HEAD", known.get("range", ""), stays)


def _read_fields(fields: list[str]) -> dict[str, str]:
    if len(fields) > MAX_FIELDS:
        raise RequestError(431, f"more than {MAX_FIELDS} header fields")
    known: dict[str, str] = {}
    for field in fields:
        name, colon, value = field.partition(":")
        if not colon or not _NAME.fullmatch(name) or not _VALUE.fullmatch(value):
            raise RequestError(400, "a header field is not 'Name: value'")
        name = name.lower()
        if name in known and name in {"host", "range", "content-length", "transfer-encoding"}:
            raise RequestError(400, f"'{name}' is given twice")
        known[name] = value.strip()
    return known


def read_range(wanted: str, size: int) -> tuple[int, int] | None:
    """From and up to; None is all of it. One range that is not one is passed over, as RFC 9110 says, several are
    too. Raises RequestError where nothing of it is there.
    """
    found = _RANGE.fullmatch(wanted.replace(" ", ""))
    if found is None or not (found[1] or found[2]):
        return None
    if not found[1]:
        start, stop = size - min(int(found[2]), size), size
    else:
        start, stop = int(found[1]), min(int(found[2] or size), size - 1) + 1
        if found[2] and int(found[2]) < int(found[1]):
            return None
    if not 0 <= start < stop:
        raise RequestError(416, f"of {size} bytes there are none in '{wanted[:60]}'")
    return start, stop


def answer(request: Request, size: int, tag: str) -> Reply:
    """For an object of that size; `tag` names its content. Raises RequestError."""
    part = read_range(request.wanted, size) if request.wanted else None
    start, stop = part or (0, size)
    fields = [
        "Content-Type: application/octet-stream",
        f"Content-Length: {stop - start}",
        "Accept-Ranges: bytes",
        f'ETag: "{tag}"',
    ]
    if part is not None:
        fields.append(f"Content-Range: bytes {start}-{stop - 1}/{size}")
    head = _head(206 if part is not None else 200, fields, stays=request.stays)
    return Reply(head, start, start if request.is_head else stop)


def answer_text(request: Request, text: bytes) -> bytes:
    """A small JSON text, whole."""
    fields = ["Content-Type: application/json", f"Content-Length: {len(text)}", "Cache-Control: no-store"]
    return _head(200, fields, stays=request.stays) + (b"" if request.is_head else text)


def refuse(error: RequestError, size: int | None = None) -> bytes:
    """The whole reply; the connection ends with it."""
    text = f"{error}\n".encode()
    fields = ["Content-Type: text/plain; charset=utf-8", f"Content-Length: {len(text)}"]
    if error.code == 416 and size is not None:
        fields.append(f"Content-Range: bytes */{size}")
    if error.code == 405:
        fields.append("Allow: GET, HEAD")
    return _head(error.code, fields, stays=False) + text


def _head(code: int, fields: list[str], *, stays: bool) -> bytes:
    reason = _SHOWN.get(code) or _REASONS.get(code, "Error")
    lines = [f"HTTP/1.1 {code} {reason}", *fields, f"Connection: {'keep-alive' if stays else 'close'}"]
    return "\r\n".join(lines).encode() + HEAD_END
