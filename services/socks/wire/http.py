"""HTTP CONNECT, as proxies are asked for a tunnel (RFC 9110, section 9.3.6; RFC 9112, section 3.2.3). No I/O."""

from __future__ import annotations

import re

from services.socks.errors import WireError
from services.socks.model import NOWHERE, Command, Credentials, Place, Reply, Request, read_host
from services.socks.wire.socks5 import NEED_DATA, NeedData

MAX_HEAD = 16 * 1024

_LINE = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]{1,32}) (\S{1,300}) HTTP/1\.[01]")
_AUTHORITY = re.compile(rb"(?:\[([0-9A-Fa-f:.]+)\]|([^\[\]:]+)):([0-9]{1,5})")

_STATUS = {
    Reply.SUCCEEDED: "200 Connection established",
    Reply.FAILED: "502 Bad Gateway",
    Reply.NOT_ALLOWED: "403 Forbidden",
    Reply.NETWORK_UNREACHABLE: "502 Bad Gateway",
    Reply.HOST_UNREACHABLE: "502 Bad Gateway",
    Reply.REFUSED: "502 Bad Gateway",
    Reply.TIMED_OUT: "504 Gateway Timeout",
    Reply.COMMAND_UNSUPPORTED: "501 Not Implemented",
    Reply.ADDRESS_UNSUPPORTED: "502 Bad Gateway",
}
_WHY = {
    Reply.FAILED: "no server of the mesh could do it just now",
    Reply.NOT_ALLOWED: "not allowed",
    Reply.NETWORK_UNREACHABLE: "its network cannot be reached",
    Reply.HOST_UNREACHABLE: "the host cannot be reached, or its name is unknown",
    Reply.REFUSED: "the host refuses the connection",
    Reply.TIMED_OUT: "the host does not answer in time",
    Reply.COMMAND_UNSUPPORTED: "not supported",
    Reply.ADDRESS_UNSUPPORTED: "this kind of address is not supported",
}


class HttpTalk:
    """`feed`, `take_output`, `take_rest`, `reply` and `too_many` as in `socks5.ServerTalk`."""

    def __init__(self) -> None:
        self._data = bytearray()
        self._searched = 0
        self._asked = False

    def feed(self, data: bytes) -> NeedData | Credentials | Request:
        """Raises WireError."""
        self._data += data
        if self._asked:
            return NEED_DATA
        end = self._data.find(b"\r\n\r\n", max(0, self._searched - 3))
        self._searched = len(self._data)
        if end > MAX_HEAD or (end < 0 and self._searched > MAX_HEAD):
            why = f"the head has more than {MAX_HEAD} bytes"
            raise WireError(why, _answer("431 Request Header Fields Too Large", why))
        if end < 0:
            return NEED_DATA
        request = _read_line(bytes(self._data[: self._data.index(b"\r\n")]))
        del self._data[: end + 4]
        self._asked = True
        return request

    def take_output(self) -> bytes:
        return b""

    def take_rest(self) -> bytes:
        rest, self._data = bytes(self._data), bytearray()
        return rest

    def judge(self, *, accepted: bool) -> None:
        """Nobody is asked for a password here."""

    def reply(self, reply: Reply, _bound: Place = NOWHERE) -> bytes:
        if reply is Reply.SUCCEEDED:
            return f"HTTP/1.1 {_STATUS[reply]}\r\n\r\n".encode()
        return _answer(_STATUS[reply], _WHY[reply])

    def too_many(self) -> bytes:
        return _answer("503 Service Unavailable", "all connections of this proxy are taken")


def _read_line(line: bytes) -> Request:
    found = _LINE.fullmatch(line)
    if found is None:
        why = "the first line is not `CONNECT host:port HTTP/1.1`"
        raise WireError(why, _answer("400 Bad Request", why))
    if found[1] != b"CONNECT":
        why = f"method {found[1].decode()}: this proxy knows CONNECT alone (use it for https, or SOCKS5)"
        raise WireError(why, _answer("405 Method Not Allowed", why, "Allow: CONNECT\r\n"))
    place = _AUTHORITY.fullmatch(found[2])
    host = None if place is None else read_host(place[1] or place[2])
    if place is None or host is None or not 0 < int(place[3]) < 65536:
        why = "the target is not host:port"
        raise WireError(why, _answer("400 Bad Request", why))
    return Request(Command.CONNECT, Place(host, int(place[3])))


def _answer(status: str, why: str, more: str = "") -> bytes:
    text = f"{why}\n"
    head = (
        f"HTTP/1.1 {status}\r\nContent-Type: text/plain\r\nContent-Length: {len(text)}\r\nConnection: close\r\n{more}"
    )
    return f"{head}\r\n{text}".encode()
