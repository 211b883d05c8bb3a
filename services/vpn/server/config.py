"""vpn-server.yaml as words. Everything has a default: who has a session with this node gets out by its uplink.

open_to: [cluster:31ab…]    node ids and clusters; all where there is none     port: 4443
labels: [country=de]        words that clients choose by                       clients: 200   at once
pool: 100.64.0.0/22         moved where uplink or client use it themselves     ipv6: true
allow: [192.168.1.7/32]     may be reached although it is private, or one's own network
block: [198.51.100.0/24]    may not be reached, besides those
resolvers: [9.9.9.9]        asked for the clients; the machine's own where there is none
rate_mbit: 50               of each client, each way                           ram: /run/skywire/vpn-server
quota_mb: 10000             of each client, both ways, in                      card: /data/mesh/vpn-server
quota_hours: 24             so many hours                                      node: /run/skywire/node.sock
connections: 2000           of each client at once, a tenth of them begun in a second
"""

from __future__ import annotations

from ipaddress import IPv4Network, ip_address
from pathlib import Path
from typing import Annotated

import msgspec

from services.node.places import usual_socket
from services.setting_words import Network
from services.settings_file import load_settings
from services.vpn import places
from services.vpn.words import PORT, is_unicast

PROGRAM = "vpn-server"
LEAST_PREFIX, MOST_PREFIX = 16, 29


class Pool(str):
    __slots__ = ()

    @classmethod
    def read_setting(cls, text: str) -> Pool:
        try:
            network = IPv4Network(text)
        except ValueError:
            raise ValueError("expected an IPv4 network such as 100.64.0.0/22") from None
        if not LEAST_PREFIX <= network.prefixlen <= MOST_PREFIX:
            raise ValueError(f"expected a network from /{LEAST_PREFIX} to /{MOST_PREFIX}")
        return cls(network)


class Resolver(str):
    __slots__ = ()

    @classmethod
    def read_setting(cls, text: str) -> Resolver:
        try:
            address = ip_address(text)
        except ValueError:
            raise ValueError("expected the address of a resolver, such as 9.9.9.9") from None
        if not is_unicast(address):
            raise ValueError("expected a resolver that others can be led to: no address of this machine alone")
        return cls(address)


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    open_to: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    port: Annotated[int, msgspec.Meta(ge=1, le=65535)] = PORT
    pool: Pool = Pool("100.64.0.0/22")
    ipv6: bool = True
    clients: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 200
    allow: Annotated[tuple[Network, ...], msgspec.Meta(max_length=256)] = ()
    block: Annotated[tuple[Network, ...], msgspec.Meta(max_length=4096)] = ()
    resolvers: Annotated[tuple[Resolver, ...], msgspec.Meta(max_length=4)] = ()
    rate_mbit: Annotated[float, msgspec.Meta(ge=0.1, le=100_000)] | None = None
    quota_mb: Annotated[float, msgspec.Meta(ge=1)] | None = None
    quota_hours: Annotated[float, msgspec.Meta(ge=1)] = 24.0
    connections: Annotated[int, msgspec.Meta(ge=10, le=1_000_000)] = 2000
    ram: Path = msgspec.field(default_factory=lambda: places.usual_ram(PROGRAM))
    card: Path = msgspec.field(default_factory=lambda: places.usual_card(PROGRAM))
    node: Path = msgspec.field(default_factory=usual_socket)

    @property
    def socket(self) -> Path:
        return self.ram / "vpn-server.sock"

    @property
    def quota_bytes(self) -> int | None:
        return int(self.quota_mb * 1_000_000) if self.quota_mb is not None else None


def load_config(path: Path | None, defaults: Path | None = None) -> Config:
    """What the files say: `defaults`, over it the one that was named, else the usual one. Raises SettingsError."""
    return load_settings(Config, path, defaults, places.usual_config(PROGRAM))
