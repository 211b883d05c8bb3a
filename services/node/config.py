"""node.yaml as words. Everything has a default: without a file it is a node without a network, on a workstation.

seed: /data/identity/seed          managers: [{at: "203.0.113.1:7997", id: 64 hex, token: "…"}]
                                   managers: [{invitation: "skywire:…"}]   the text of `manager invite`
link_port: 51820                   link_networks: [10.0.0.0/8]   announced and tried; all where there is none
session_port: 51821                wires: [192.168.1.0/24]       trusted switches: links without hop encryption
probe_port: 51822                  endpoints: ["198.51.100.7:51820"]   announced besides one's own addresses
relays: false                      host: workstation | board     a board drops what is not let in, see `rules`
ram: /run/skywire/node             outside: [tcp/22]             on a board: open to the world outside the mesh
card: …/skywire/node               resolver: "127.0.0.153:5453"  answers for <name>.sky; none where it is empty
socket: /run/skywire/node.sock     tunnel_users: [skywire-vpn]      may carry networks, besides root
                                   key_users: {messenger: [skywire-messenger]}   may have keys vouched for
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Annotated

import msgspec

from services import seed_file
from services.errors import IdentityError
from services.kernel.model import Endpoint, IpNetwork
from services.kernel.rules import Host, Settings
from services.keys import NodeId, read_node_id
from services.manager.errors import JoinError
from services.manager.invites import read_invitation_text
from services.node.places import usual_card, usual_config, usual_ram, usual_socket
from services.setting_words import Network, ProtocolPort, is_port
from services.settings_file import load_settings

VXLAN_PORT = 4789
JOIN_PORT = 7997

Port = Annotated[int, msgspec.Meta(ge=1, le=65535)]


class Underlay(str):
    """A place on the networks beneath: `address:port`, an IPv6 address in brackets."""

    __slots__ = ()

    @classmethod
    def read_setting(cls, text: str) -> Underlay:
        try:
            read_endpoint(text)
        except ValueError:
            raise ValueError("expected address:port, such as 198.51.100.7:51820 or [2001:db8::7]:51820") from None
        return cls(text)


class Place(str):
    """A host, by name or address, and a port, which may be left out."""

    __slots__ = ()

    @classmethod
    def read_setting(cls, text: str) -> Place:
        place = cls(text)
        host, port = place.split_port()
        if not host or any(letter.isspace() for letter in host) or not is_port(port):
            raise ValueError("expected host:port")
        return place

    def split_port(self) -> tuple[str, str]:
        host, port = str(self), str(JOIN_PORT)
        if host.count(":") == 1 or "]:" in host:
            host, _, port = host.rpartition(":")
        return host.removeprefix("[").removesuffix("]"), port


class ManagerAt(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where a manager's join port is. With `id` no other is taken; `token` is an invitation's.

    `invitation` is the text of `manager invite`, which says all three; once read it is empty.
    """

    at: Place = Place("")
    id: NodeId | None = None
    token: str = ""
    invitation: str = ""

    def __post_init__(self) -> None:
        if self.invitation:
            self._read_invitation()
        elif not self.at:
            raise ValueError("expected 'at: host:port', or 'invitation: skywire:…' (make one: manager invite)")
        if self.id is not None:
            try:
                read_node_id(self.id)
            except IdentityError as error:
                raise ValueError(str(error)) from None

    def _read_invitation(self) -> None:
        if self.at or self.id is not None or self.token:
            raise ValueError("an invitation says at, id and token: leave those out")
        try:
            at, manager, token = read_invitation_text(self.invitation)
        except JoinError as error:
            raise ValueError(str(error)) from None
        read = {"at": Place.read_setting(at), "id": manager, "token": token, "invitation": ""}
        for name, value in read.items():
            msgspec.structs.force_setattr(self, name, value)

    def __repr__(self) -> str:
        return f"ManagerAt({self.at}, {self.id})"


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    seed: Path = msgspec.field(default_factory=seed_file.usual_place)
    ram: Path = msgspec.field(default_factory=usual_ram)
    card: Path = msgspec.field(default_factory=usual_card)
    socket: Path = msgspec.field(default_factory=usual_socket)
    managers: Annotated[tuple[ManagerAt, ...], msgspec.Meta(max_length=16)] = ()
    link_port: Port = 51820
    session_port: Port = 51821
    probe_port: Port = 51822
    relays: bool = False
    link_networks: tuple[Network, ...] = ()
    wires: tuple[Network, ...] = ()
    endpoints: Annotated[tuple[Underlay, ...], msgspec.Meta(max_length=8)] = ()
    host: Host = Host.WORKSTATION
    outside: tuple[ProtocolPort, ...] = (ProtocolPort("tcp/22"),)
    resolver: str = ""
    tunnel_users: tuple[str, ...] = ()
    key_users: dict[str, tuple[str, ...]] = {}

    def __post_init__(self) -> None:
        ports = [self.link_port, self.session_port, self.probe_port, VXLAN_PORT]
        if len(set(ports)) < len(ports):
            raise ValueError(f"link_port, session_port and probe_port must differ, also from VXLAN's {VXLAN_PORT}")
        if self.resolver:
            Underlay.read_setting(self.resolver)

    @property
    def rules(self) -> Settings:
        return Settings(self.host, self.link_port, self.session_port, self.probe_port)

    @property
    def link_ranges(self) -> tuple[IpNetwork, ...]:
        return tuple(map(ip_network, self.link_networks))

    @property
    def wire_ranges(self) -> tuple[IpNetwork, ...]:
        return tuple(map(ip_network, self.wires))

    @property
    def outside_ports(self) -> list[tuple[str, int]]:
        """(protocol, port), on a board."""
        if self.host is not Host.BOARD:
            return []
        return [port.split_port() for port in self.outside]


def load_config(path: Path | None, defaults: Path | Sequence[Path] = ()) -> Config:
    """What the files say: `defaults`, over them the one that was named, else the usual one. A file that was named and
    is not there is an error, unless there are defaults, of which only the first must be there. Raises SettingsError.
    """
    return load_settings(Config, path, defaults, usual_config())


def read_endpoint(text: str) -> Endpoint:
    """`address:port`, an IPv6 address in brackets. Raises ValueError."""
    host, _, port = text.rpartition(":")
    address = ip_address(host.removeprefix("[").removesuffix("]"))
    if not is_port(port) or (address.version == 6) != text.startswith("["):
        raise ValueError(f"{text!r} is not address:port, with an IPv6 address in brackets")
    return Endpoint(address, int(port))
