"""The words of the signal line: operations, frames, events, and what a program says of itself.

Nothing here reads or writes. `wire` turns bytes into frames, `bodies` what is in them into words, `session`
both into events.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

import msgspec

from viscript.signal.errors import AddressError

MAX_BODY = 10_240
"""Bytes of the largest body; the original library closes the connection above it."""

DEFAULT_PORT = 7999
PING_INTERVAL_S = 60.0
READ_DEADLINE_S = 90.0
RESPONSE = 0x80
"""Set in the operation byte of a response."""

NUMBERED = 0x40
"""Set in the operation byte when a request's id follows it; only between ends that agreed on it."""


class Role(enum.Enum):
    CLIENT = "client"
    SERVER = "server"


class Reg(enum.IntEnum):
    """Operations a client asks of the server."""

    REG = 0


class Ask(enum.IntEnum):
    """Operations the server asks of a client; the original knows the first three."""

    TOP = 0
    PING = 1
    SHUTDOWN = 2
    REPORT = 3
    LOG_LEVEL = 4
    COMMAND = 5


class Extension(enum.StrEnum):
    """What a client offers in REG and a server of ours accepts. Without IDS nothing else is accepted."""

    IDS = "ids"
    REPORT = "report"
    LOG_LEVEL = "log-level"
    COMMAND = "command"


ALL_EXTENSIONS = frozenset(Extension)
NEEDS = {
    Ask.REPORT: Extension.REPORT,
    Ask.LOG_LEVEL: Extension.LOG_LEVEL,
    Ask.COMMAND: Extension.COMMAND,
}
"""Operations that may only be asked when their extension was agreed on."""


class Normal(msgspec.Struct, frozen=True):
    """A body-carrying frame; `body` is the operation byte and JSON text."""

    seq: int
    body: bytes


class Ack(msgspec.Struct, frozen=True):
    seq: int


class Ping(msgspec.Struct, frozen=True):
    unix_ms: int


class Pong(msgspec.Struct, frozen=True):
    unix_ms: int


Frame = Normal | Ack | Ping | Pong


FieldValue = str | int | float | bool


class OwnUsage(msgspec.Struct, frozen=True, rename="pascal"):
    """What one process uses, in its own words. Sizes are bytes; None where its system does not say.

    `bytes_in` and `bytes_out` went through read and write calls: files and pipes, but not what a socket's own
    calls carried.
    """

    pid: int
    cpu_s: float
    uptime_s: float
    threads: int
    rss: int
    pss: int | None = None
    open_files: int | None = None
    bytes_in: int | None = None
    bytes_out: int | None = None


class Report(msgspec.Struct, frozen=True, rename="pascal"):
    """What a program says of itself; `fields` are its own, `commands` what it can be told."""

    status: str
    log_level: str
    fields: dict[str, FieldValue]
    commands: tuple[str, ...]
    usage: OwnUsage


class Pid(msgspec.Struct, frozen=True, rename="pascal"):
    """The answer to SHUTDOWN: the process that begins to go."""

    pid: int


class Level(msgspec.Struct, frozen=True, rename="pascal"):
    """The log level to take, and in the answer the one in force."""

    level: str


class Command(msgspec.Struct, frozen=True, rename="pascal"):
    name: str
    args: tuple[str, ...]


class Text(msgspec.Struct, frozen=True, rename="pascal"):
    """What a command had to say."""

    text: str


class Refusal(msgspec.Struct, frozen=True, rename="pascal"):
    """An answer that says why there is none; only to the operations of the extensions."""

    error: str


class Registering(msgspec.Struct, frozen=True):
    """A client says who it is; the server answers with `accept` or closes."""

    client_id: int


class Registered(msgspec.Struct, frozen=True):
    """The server accepted us."""

    extensions: frozenset[Extension] = frozenset()


class Asked(msgspec.Struct, frozen=True):
    """The server wants something of this client; `value` is a Level, a Command or None."""

    op: Ask
    value: object = None
    number: int = 0


class Answered(msgspec.Struct, frozen=True):
    """A client's answer to the request that `ask` gave this number."""

    op: Ask
    value: object
    number: int


class Late(msgspec.Struct, frozen=True):
    """An answer to a request that was given up; it is dropped."""


class Pinged(msgspec.Struct, frozen=True):
    """The peer checked the line; the PONG is already in the output."""


class Ponged(msgspec.Struct, frozen=True):
    unix_ms: int


class Broken(msgspec.Struct, frozen=True):
    """The peer broke the protocol for this reason; always the last event of a session."""

    reason: str


Event = Registering | Registered | Asked | Answered | Late | Pinged | Ponged | Broken


@dataclass(frozen=True, slots=True)
class Peer:
    """The two ends of one connection, as the server's socket names them.

    Over a UNIX socket hosts and ports are empty and `pid` is the process that connected, as the kernel says.
    """

    host: str
    port: int
    server_host: str
    server_port: int
    pid: int | None = None

    def __str__(self) -> str:
        return f"{self.host}:{self.port}" if self.host else f"pid {self.pid}"


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
