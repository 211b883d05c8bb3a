"""What is said on the VPN's control connection, pure: lines of JSON on TCP, inside a session, at `PORT`.

{"do":"lease","id":"31ab…","avoid":["192.168.1.0/24"]}
{"is":"leased","ipv4":"100.64.0.2","ipv6":"fd54:…::2","dns":["100.64.0.1","fd54:…::1"],"mtu":1328,…}
{"do":"ping","number":7}            each PING_S                      {"is":"pong","number":7}
                                                                     {"is":"ended","why":"…"}

The lease lives as long as the connection. The id is believed because the connection comes from its session address.
A client that says nothing for `DEAD_S` is gone to the server, and a server that does not answer to the client.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Annotated, TypeVar

import msgspec

from services import lines
from services.errors import IdentityError
from services.keys import NodeId, read_node_id
from services.vpn.errors import TalkError

SERVICE = "vpn"
PORT = 4443
PING_S, DEAD_S = 5.0, 15.0
MAX_LINE = 4096
MAX_AVOIDED = 64

T = TypeVar("T")

IpAddress = IPv4Address | IPv6Address
IpNetwork = IPv4Network | IPv6Network


class _Request(msgspec.Struct, frozen=True, tag_field="do", forbid_unknown_fields=True):
    pass


class _Answer(msgspec.Struct, frozen=True, tag_field="is"):
    pass


Network = Annotated[str, msgspec.Meta(max_length=43)]


class Lease(_Request, frozen=True, tag="lease"):
    """The first line. `avoid`: networks of the client's own, in none of which its address may lie. Answered by
    `Leased` or `Refused`.
    """

    id: NodeId
    avoid: Annotated[tuple[Network, ...], msgspec.Meta(max_length=MAX_AVOIDED)] = ()

    def __post_init__(self) -> None:
        read_node_id(self.id)
        self.networks()

    def networks(self) -> list[IpNetwork]:
        """What is to be avoided."""
        return [ip_network(text, strict=False) for text in self.avoid]


class Ping(_Request, frozen=True, tag="ping"):
    """Answered by `Pong`, with the same number."""

    number: Annotated[int, msgspec.Meta(ge=0, le=2**53)] = 0


class Leased(_Answer, frozen=True, tag="leased"):
    """What the client is, beyond the server. `ipv6` is None where the server has no IPv6 to offer: the client keeps its
    IPv6 in, or it would go past the tunnel. `dns` are to be asked through the tunnel, on port 53, UDP and TCP; empty
    where the server has no resolver to offer. `mtu` is of the client's packets (below 1280 there is
    no IPv6). `rate_mbit` is each way's;
    `quota_bytes` is both ways' together, `left_bytes` what is left of it.
    """

    ipv4: str
    ipv6: str | None
    dns: Annotated[tuple[str, ...], msgspec.Meta(max_length=8)]
    mtu: Annotated[int, msgspec.Meta(ge=576, le=65535)]
    rate_mbit: float | None = None
    quota_bytes: int | None = None
    left_bytes: int | None = None

    def __post_init__(self) -> None:
        IPv4Address(self.ipv4)
        if self.ipv6 is not None:
            IPv6Address(self.ipv6)
        if any(not is_unicast(address) for address in self.addresses):
            raise ValueError("no address that a host may have")

    @property
    def addresses(self) -> list[IpAddress]:
        """Its own and the resolvers'."""
        return [ip_address(text) for text in (self.ipv4, self.ipv6, *self.dns) if text is not None]


class Pong(_Answer, frozen=True, tag="pong"):
    number: int


class Refused(_Answer, frozen=True, tag="refused"):
    """No lease, and the connection ends. `again_s`: asking again after so long may help; never, where it is None."""

    why: str
    again_s: float | None = None


class Ended(_Answer, frozen=True, tag="ended"):
    """The lease is over and the connection ends, such as when the server stops or its range had to be moved. Asking
    again after `again_s` may help; with None, take another server.
    """

    why: str
    again_s: float | None = None


Request = Lease | Ping
Answer = Leased | Pong | Refused | Ended

_requests: msgspec.json.Decoder[Request] = msgspec.json.Decoder(Request)
_answers: msgspec.json.Decoder[Answer] = msgspec.json.Decoder(Answer)


class LineReader(lines.LineReader):
    """Raises TalkError for a line that is too long."""

    def __init__(self) -> None:
        super().__init__(MAX_LINE, TalkError)


def encode(words: Request | Answer) -> bytes:
    return msgspec.json.encode(words) + b"\n"


def read_request(line: bytes) -> Request:
    """Raises TalkError with the place that does not fit."""
    return _read(_requests, line)


def read_answer(line: bytes) -> Answer:
    """Raises TalkError with the place that does not fit."""
    return _read(_answers, line)


def is_unicast(address: IpAddress) -> bool:
    return not (address.is_multicast or address.is_unspecified or address.is_loopback or address.is_link_local)


def _read(decoder: msgspec.json.Decoder[T], line: bytes) -> T:
    try:
        return decoder.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, IdentityError) as error:
        raise TalkError(f"not understood: {error}") from None
