"""The words of the signal line: operations, frames, events, and the settings a child finds in its
environment.

Nothing here reads or writes. `wire` turns bytes into frames, `session` turns frames into events.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from viscript.signal.errors import AddressError

MAX_BODY = 10_240
"""Bytes of the largest body; the original library closes the connection above it."""

DEFAULT_PORT = 7999
PING_INTERVAL_S = 60.0
READ_DEADLINE_S = 90.0
RESPONSE = 0x80
"""Set in the operation byte of a response."""


class Role(enum.Enum):
    CLIENT = "client"
    SERVER = "server"


class Reg(enum.IntEnum):
    """Operations a client asks of the server."""

    REG = 0


class Ask(enum.IntEnum):
    """Operations the server asks of a client."""

    TOP = 0
    PING = 1
    SHUTDOWN = 2


@dataclass(frozen=True, slots=True)
class Normal:
    """A body-carrying frame; `body` is the operation byte and JSON text."""

    seq: int
    body: bytes


@dataclass(frozen=True, slots=True)
class Ack:
    seq: int


@dataclass(frozen=True, slots=True)
class Ping:
    unix_ms: int


@dataclass(frozen=True, slots=True)
class Pong:
    unix_ms: int


Frame = Normal | Ack | Ping | Pong


@dataclass(frozen=True, slots=True)
class Registering:
    """A client says who it is; the server answers with `accept` or closes."""

    client_id: int


@dataclass(frozen=True, slots=True)
class Registered:
    """The server accepted us."""


@dataclass(frozen=True, slots=True)
class Asked:
    """The server wants something of this client."""

    op: Ask


@dataclass(frozen=True, slots=True)
class Answered:
    """A client's answer; `value` is the decoded JSON."""

    op: Ask
    value: object


@dataclass(frozen=True, slots=True)
class Pinged:
    """The peer checked the line; the PONG is already in the output."""


@dataclass(frozen=True, slots=True)
class Ponged:
    unix_ms: int


@dataclass(frozen=True, slots=True)
class Broken:
    """The peer broke the protocol for this reason; always the last event of a session."""

    reason: str


Event = Registering | Registered | Asked | Answered | Pinged | Ponged | Broken


@dataclass(frozen=True, slots=True)
class Peer:
    """The two ends of one connection, as the server's socket names them."""

    host: str
    port: int
    server_host: str
    server_port: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Address:
    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def read_address(text: str) -> Address:
    """Parse `host:port` or `[v6]:port`; raises AddressError."""
    host, colon, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]") if host.startswith("[") else host
    if not colon or not host or not (port.isascii() and port.isdigit()) or int(port) > 0xFFFF:
        raise AddressError(f"address {text!r} is not of the form host:port, such as 127.0.0.1:7999")
    return Address(host, int(port))
