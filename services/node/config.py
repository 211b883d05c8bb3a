"""node.yaml as words. Everything has a default: without a file it is a node without a network, on a workstation.

seed: /data/identity/seed          managers: [{at: "203.0.113.1:7997", id: 64 hex, token: "…"}]
link_port: 51820                   link_networks: [10.0.0.0/8]   announced and tried; all where there is none
session_port: 51821                wires: [192.168.1.0/24]       trusted switches: links without hop encryption
probe_port: 51822                  endpoints: ["198.51.100.7:51820"]   announced besides one's own addresses
relays: false                      host: workstation | board     a board drops what is not let in, see `rules`
ram: /run/skywire/node             outside: [tcp/22]             on a board: open to the world outside the mesh
card: /data/mesh/node              socket: /run/skywire/node.sock
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from pathlib import Path
from typing import TypeVar

from services import seed_file
from services.errors import ConfigError, IdentityError
from services.kernel.model import Endpoint
from services.kernel.rules import Host, Settings
from services.keys import NodeId, read_node_id
from services.node.places import usual_card, usual_ram, usual_socket
from services.yaml_reader import Entry, read_file, read_text

T = TypeVar("T")

IpNetwork = IPv4Network | IPv6Network

BOARD_OUTSIDE = (("tcp", 22),)
MAX_MANAGERS, MAX_ENDPOINTS = 16, 8


@dataclass(frozen=True, slots=True)
class ManagerAt:
    """Where a manager's join port is. With `node_id` no other is taken; `token` is an invitation's."""

    host: str
    port: int
    node_id: NodeId | None = None
    token: str = field(default="", repr=False)

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Config:
    seed: Path
    ram: Path
    card: Path
    socket: Path
    managers: tuple[ManagerAt, ...] = ()
    link_port: int = 51820
    session_port: int = 51821
    probe_port: int = 51822
    relays: bool = False
    link_networks: tuple[IpNetwork, ...] = ()
    wires: tuple[IpNetwork, ...] = ()
    endpoints: tuple[Endpoint, ...] = ()
    host: Host = Host.WORKSTATION
    outside: tuple[tuple[str, int], ...] = ()

    @property
    def rules(self) -> Settings:
        return Settings(self.host, self.link_port, self.session_port, self.probe_port)


def usual() -> Config:
    return Config(seed_file.usual_place(), usual_ram(), usual_card(), usual_socket())


def read_config(path: Path) -> Config:
    """Raises FileNotFoundError, ConfigError."""
    return _config(read_file(path))


def parse_config(text: str, source: str = "node.yaml") -> Config:
    """Raises ConfigError."""
    return _config(read_text(text, source))


def _config(root: Entry | None) -> Config:
    default = usual()
    if root is None:
        return default
    found = root.entries(set(Config.__slots__))
    host = _get(found, "host", _host, default.host)
    config = Config(
        seed=_get(found, "seed", _path, default.seed),
        ram=_get(found, "ram", _path, default.ram),
        card=_get(found, "card", _path, default.card),
        socket=_get(found, "socket", _path, default.socket),
        managers=_get(found, "managers", lambda entry: _listed(entry, _manager, MAX_MANAGERS), ()),
        link_port=_get(found, "link_port", Entry.port, default.link_port),
        session_port=_get(found, "session_port", Entry.port, default.session_port),
        probe_port=_get(found, "probe_port", Entry.port, default.probe_port),
        relays=_get(found, "relays", Entry.boolean, default.relays),
        link_networks=_get(found, "link_networks", lambda entry: _listed(entry, _network, 64), ()),
        wires=_get(found, "wires", lambda entry: _listed(entry, _network, 64), ()),
        endpoints=_get(found, "endpoints", lambda entry: _listed(entry, _endpoint, MAX_ENDPOINTS), ()),
        host=host,
        outside=_get(
            found, "outside", lambda entry: _listed(entry, _port, 256), BOARD_OUTSIDE if host is Host.BOARD else ()
        ),
    )
    _check_ports(config, found)
    return config


def _check_ports(config: Config, found: dict[str, Entry]) -> None:
    """VXLAN's is fixed, and three sockets cannot share one."""
    taken = {4789: "VXLAN"}
    for key in ("link_port", "session_port", "probe_port"):
        port = getattr(config, key)
        if port in taken:
            raise found[key if key in found else taken[port]].fail(f"a port of its own, not that of {taken[port]}")
        taken[port] = key


def _get(found: dict[str, Entry], key: str, read: Callable[[Entry], T], default: T) -> T:
    return read(found[key]) if key in found else default


def _listed(entry: Entry, read: Callable[[Entry], T], most: int) -> tuple[T, ...]:
    items = tuple(read(item) for item in entry.items())
    if len(items) > most:
        raise entry.fail(f"at most {most} of them, not {len(items)}")
    return items


def _path(entry: Entry) -> Path:
    path = Path(entry.text()).expanduser()
    if not path.is_absolute():
        raise entry.fail("a path from / or ~ on")
    return path


def _host(entry: Entry) -> Host:
    return entry.read(Host, "'board' or 'workstation'")


def _network(entry: Entry) -> IpNetwork:
    return entry.read(ip_network, "a network such as 192.168.1.0/24")


def _endpoint(entry: Entry) -> Endpoint:
    return entry.read(read_endpoint, "address:port, such as 198.51.100.7:51820 or [2001:db8::7]:51820")


def _port(entry: Entry) -> tuple[str, int]:
    return entry.read(_read_port, "tcp/PORT or udp/PORT")


def _read_port(text: str) -> tuple[str, int]:
    protocol, _, port = text.partition("/")
    if protocol not in {"tcp", "udp"} or not port.isdecimal() or not 1 <= int(port) <= 65535:
        raise ValueError(text)
    return protocol, int(port)


def _manager(entry: Entry) -> ManagerAt:
    found = entry.entries({"at", "id", "token"})
    if "at" not in found:
        raise entry.fail("a key 'at' with the manager's host:port in each")
    host, port = found["at"].read(_read_place, "host:port of the manager's join port")
    node_id = found["id"].read(_read_id, "a node id of 64 digits of 0-9 a-f") if "id" in found else None
    return ManagerAt(host, port, node_id, found["token"].text() if "token" in found else "")


def _read_id(text: str) -> NodeId:
    try:
        return read_node_id(text)
    except IdentityError as error:
        raise ValueError(str(error)) from None


def _read_place(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not host or not port.isdecimal() or not 1 <= int(port) <= 65535:
        raise ValueError(text)
    return host, int(port)


def read_endpoint(text: str) -> Endpoint:
    """`address:port`, an IPv6 address in brackets. Raises ValueError."""
    host, port = _read_place(text)
    address = ip_address(host)
    if (address.version == 6) != text.startswith("["):
        raise ValueError(f"{text!r} is not address:port, with an IPv6 address in brackets")
    return Endpoint(address, port)


__all__ = ["Config", "ConfigError", "IpNetwork", "ManagerAt", "parse_config", "read_config", "read_endpoint", "usual"]
