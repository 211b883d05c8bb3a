"""The words of the kernel door. Wanted and actual state are the same thing: facts, each with a key of which there is
one in the kernel. An allowed IP's key is (device, network), because WireGuard gives a network to one peer; a route's is
(table, destination), because it is replaced in place. Nothing here does anything.

What is ours is known by name (`sky0`, `sky-link`, `sky-w…`), by `PROTOCOL` (routes and rules) or by the nftables table.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Interface, IPv6Network

from services.kernel.errors import WantedError

SESSIONS, LINKS, WIRE_PREFIX = "sky0", "sky-link", "sky-w"
LINK_RANGE, ROUTE_RANGE, SESSION_RANGE = (IPv6Network(f"{start}::/16") for start in ("fd4c", "fd52", "fd53"))
PROTOCOL = 83  # routes and rules we made; in no rt_protos file
METRIC = 1024
MAIN_TABLE = 254
VXLAN_PORT = 4789
FIRST_VNI = 1 << 23  # ours have the highest bit: the guard drops no other program's VXLAN

IpAddress = IPv4Address | IPv6Address
IpNetwork = IPv4Network | IPv6Network
Key = tuple[Hashable, ...]


class LinkKind(StrEnum):
    WIREGUARD = "wireguard"
    VXLAN = "vxlan"
    FOREIGN = "foreign"  # bears our name and is something else


@dataclass(frozen=True, slots=True)
class Vxlan:
    """A wire to one neighbour on the same switch."""

    vni: int
    local: IpAddress
    remote: IpAddress
    port: int = VXLAN_PORT

    def __post_init__(self) -> None:
        if not FIRST_VNI <= self.vni < 1 << 24:
            raise WantedError(f"VNI '{self.vni}' is not between {FIRST_VNI} and {(1 << 24) - 1}: set its highest bit")
        if self.local.version != self.remote.version:
            raise WantedError(f"a wire cannot go from '{self.local}' to '{self.remote}': use one address family")


@dataclass(frozen=True, slots=True)
class Link:
    """An interface. `vxlan` is given for that kind only."""

    name: str
    kind: LinkKind
    mtu: int
    vxlan: Vxlan | None = None
    up: bool = True

    @property
    def key(self) -> Key:
        return (Link, self.name)


@dataclass(frozen=True, slots=True)
class Device:
    """What is set on a WireGuard interface as a whole. The key is clamped as WireGuard itself does it."""

    name: str
    private_key: bytes = field(repr=False)
    port: int
    fwmark: int = 0

    def __post_init__(self) -> None:
        if len(self.private_key) != 32:
            raise WantedError(f"the private key of '{self.name}' has {len(self.private_key)} bytes, not 32")
        first, last = self.private_key[0] & 248, self.private_key[31] & 127 | 64
        object.__setattr__(self, "private_key", bytes([first, *self.private_key[1:31], last]))

    @property
    def key(self) -> Key:
        return (Device, self.name)


@dataclass(frozen=True, slots=True)
class Address:
    """An address of ours on one of our interfaces or on `lo`. It is usable at once: no duplicate detection."""

    device: str
    address: IPv6Interface

    @property
    def key(self) -> Key:
        return (Address, self.device, self.address)


@dataclass(frozen=True, slots=True)
class Forwarding:
    """IPv6 packets that come in on the device may be forwarded."""

    device: str

    @property
    def key(self) -> Key:
        return (Forwarding, self.device)


@dataclass(frozen=True, slots=True)
class Endpoint:
    address: IpAddress
    port: int


@dataclass(frozen=True, slots=True)
class Peer:
    """A WireGuard peer. No endpoint means: leave it as it is, the peer may have roamed."""

    device: str
    public_key: bytes
    endpoint: Endpoint | None = None
    keepalive_s: int = 0

    @property
    def key(self) -> Key:
        return (Peer, self.device, self.public_key)


@dataclass(frozen=True, slots=True)
class AllowedIp:
    device: str
    network: IpNetwork
    public_key: bytes

    @property
    def key(self) -> Key:
        return (AllowedIp, self.device, self.network)


@dataclass(frozen=True, slots=True)
class Route:
    """`source` is the address that packets from here bear; `mtu` what the path carries."""

    destination: IpNetwork
    device: str
    via: IpAddress | None = None
    source: IpAddress | None = None
    mtu: int | None = None
    table: int = MAIN_TABLE

    @property
    def key(self) -> Key:
        return (Route, self.table, self.destination)


@dataclass(frozen=True, slots=True)
class Rule:
    """Packets with the fwmark (or, inverted, all but them) are looked up in the table."""

    priority: int
    table: int
    fwmark: int = 0
    inverted: bool = False
    version: int = 6

    @property
    def key(self) -> Key:
        return (Rule, self.version, self.priority)


class Table(StrEnum):
    """The sets of the nftables table `inet skywire`. Which packets each lets in is written in `rules`."""

    PAIRS = "pairs"
    OUTER4 = "outer4"
    OUTER6 = "outer6"
    WIRES4 = "wires4"
    WIRES6 = "wires6"
    OPEN = "open"
    GRANTED = "granted"
    FOREIGN = "foreign"
    OUTSIDE = "outside"
    EXITS4 = "exits4"
    EXITS6 = "exits6"
    GATEWAYS = "gateways"


@dataclass(frozen=True, slots=True)
class Element:
    """One element of a set; made by `pair`, `outer`, `wire`, `opened`, `granted`, `foreign`, `outside`, `exit_for`,
    `gateway`.
    """

    table: Table
    value: tuple[str | int, ...]

    @property
    def key(self) -> Key:
        return (Element, self.table, self.value)


@dataclass(frozen=True, slots=True)
class Rules:
    """The fixed part of the nftables table, made by `rules.fixed`. Of the actual state only the mark is known."""

    mark: str
    text: str = field(default="", compare=False, repr=False)

    @property
    def key(self) -> Key:
        return (Rules,)


Fact = Link | Device | Address | Forwarding | Peer | AllowedIp | Route | Rule | Element | Rules
State = Mapping[Key, Fact]


@dataclass(frozen=True, slots=True)
class Put:
    """Make it so, whether it is there, there in another form, or not there."""

    fact: Fact


@dataclass(frozen=True, slots=True)
class Drop:
    fact: Fact


Change = Put | Drop


@dataclass(frozen=True, slots=True)
class Failure:
    change: Change
    reason: str


@dataclass(frozen=True, slots=True)
class Report:
    """What an apply really did."""

    done: tuple[Change, ...] = ()
    failed: tuple[Failure, ...] = ()


@dataclass(frozen=True, slots=True)
class Count:
    """Packets and bytes that a rule or an element of a set has seen."""

    packets: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Traffic:
    """WireGuard's own figures of a peer. `handshake_s` is the Unix time of the last one, 0 for none."""

    public_key: bytes
    endpoint: Endpoint | None
    handshake_s: int
    received: int
    sent: int


# elements


def pair(device: str, source: IPv6Address, destination: IPv6Address) -> Element:
    """Packets of a route that come in on the device are forwarded and counted; one for each direction."""
    return Element(Table.PAIRS, (device, str(source), str(destination)))


def outer(source: IpAddress) -> Element:
    """Outer packets of sessions are taken from this address: the far end of a route, or the underlay's."""
    return Element(Table.OUTER4 if source.version == 4 else Table.OUTER6, (str(source),))


def wire(sender: IpAddress, vni: int) -> Element:
    return Element(Table.WIRES4 if sender.version == 4 else Table.WIRES6, (str(sender), vni))


def opened(protocol: str, port: int) -> Element:
    """Anyone in the mesh may reach the port on the session address."""
    return Element(Table.OPEN, (protocol, port))


def granted(source: IPv6Address, protocol: str, port: int) -> Element:
    """One identity, by its session address, may reach the port on the session address."""
    return Element(Table.GRANTED, (str(source), protocol, port))


def foreign(source: IPv6Address) -> Element:
    """A node of another cluster: what is open to anyone is not open to it."""
    return Element(Table.FOREIGN, (str(source),))


def outside(protocol: str, port: int) -> Element:
    """On a board: a port that is reached from outside the mesh."""
    return Element(Table.OUTSIDE, (protocol, port))


def exit_for(client: IpAddress) -> Element:
    """Packets of that address of a session peer's are let out of the mesh, and the answers to them in."""
    return Element(Table.EXITS4 if client.version == 4 else Table.EXITS6, (str(client),))


def gateway(device: str) -> Element:
    """Packets that come in there are let into the sessions, and the answers to them out."""
    return Element(Table.GATEWAYS, (device,))


# names


def wire_name(vni: int) -> str:
    return f"{WIRE_PREFIX}{vni:06x}"


def is_ours(name: str) -> bool:
    return name in {SESSIONS, LINKS} or name.startswith(WIRE_PREFIX)


def known(facts: Iterable[Fact]) -> dict[Key, Fact]:
    return {fact.key: fact for fact in facts}
