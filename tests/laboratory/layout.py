"""Pure: a topology becomes a network of nodes and wires with devices, addresses and ways out. A device is named after
what is at the other end of its cable.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from ipaddress import IPv4Interface, IPv4Network, IPv6Interface

from tests.laboratory.errors import TopologyError
from tests.laboratory.model import Cable, Nat, Quality, Router, Switch, Topology

MESH = "mesh"
"""The switch that stands in for the mesh, and the device to it."""

Address = IPv4Interface | IPv6Interface


class Role(Enum):
    HOST = "host"
    ROUTER = "router"
    SWITCH = "switch"


@dataclass(frozen=True, slots=True)
class Port:
    node: str
    device: str
    address: Address | None = None


@dataclass(frozen=True, slots=True)
class Wire:
    left: Port
    right: Port
    there: Quality
    back: Quality


@dataclass(frozen=True, slots=True)
class Route:
    to: str
    via: str


@dataclass(frozen=True, slots=True)
class Node:
    name: str
    role: Role
    ports: tuple[Port, ...]
    routes: tuple[Route, ...] = ()
    masks: tuple[Nat, str] | None = None
    """For a router that hides those inside: how, and its device outside."""

    def address(self, device: str | None = None) -> str:
        """That of the device, else the first one on a cable."""
        for port in self.ports:
            if port.address and (port.device == device or (device is None and port.device != MESH)):
                return str(port.address.ip)
        return ""


@dataclass(frozen=True, slots=True)
class Network:
    nodes: dict[str, Node]
    """The topology's hosts first, in their order."""
    wires: tuple[Wire, ...]


def lay_out(topology: Topology) -> Network:
    """Raises TopologyError where addresses do not suffice or meet on one node."""
    switches = {switch.name: switch for switch in topology.switches}
    cables = list(topology.cables)
    if topology.stand_in:
        cables += [Cable(host, MESH) for host in topology.hosts]
    wires = tuple(_wires(cables, _subnets(topology.switches), topology))
    ports: dict[str, list[Port]] = {name: [] for name in topology.hosts}
    ports |= {router.name: [] for router in topology.routers} | {name: [] for name in switches}
    if topology.stand_in:
        ports[MESH] = []
    for wire in wires:
        ports[wire.left.node].append(wire.left)
        ports[wire.right.node].append(wire.right)
    nodes = {name: _node(name, tuple(own), topology, ports) for name, own in ports.items()}
    return Network(nodes, wires)


def _subnets(switches: tuple[Switch, ...]) -> dict[str, IPv4Network]:
    free = IPv4Network("10.0.0.0/9").subnets(new_prefix=24)
    return {switch.name: switch.subnet or next(free) for switch in switches}


def _wires(cables: list[Cable], subnets: dict[str, IPv4Network], topology: Topology) -> Iterator[Wire]:
    free = {name: subnet.hosts() for name, subnet in subnets.items()}
    between = IPv4Network("10.128.0.0/9").subnets(new_prefix=30)
    gates = {(router.name, router.inside) for router in topology.routers}
    for cable in cables:
        left: Address | None
        right: Address | None = None
        if cable.right == MESH:
            left = IPv6Interface(f"fd53::{topology.hosts.index(cable.left) + 1:x}/64")
        elif cable.right in subnets:
            left = _member(subnets[cable.right], free[cable.right], is_gate=(cable.left, cable.right) in gates)
        else:
            subnet = next(between)
            left, right = (IPv4Interface(f"{address}/30") for address in subnet.hosts())
        yield Wire(Port(cable.left, cable.right, left), Port(cable.right, cable.left, right), cable.there, cable.back)


def _member(subnet: IPv4Network, free: Iterator[object], *, is_gate: bool) -> IPv4Interface:
    """A gate has the last address, the others count from the first."""
    last = subnet.broadcast_address - 1
    address = last if is_gate else next(free)
    if not is_gate and address == last:
        raise TopologyError(f"{subnet} is full (give the switch a larger subnet)")
    return IPv4Interface(f"{address}/{subnet.prefixlen}")


def _node(name: str, own: tuple[Port, ...], topology: Topology, ports: dict[str, list[Port]]) -> Node:
    _check(name, own)
    router = next((router for router in topology.routers if router.name == name), None)
    if name == MESH or any(switch.name == name for switch in topology.switches):
        return Node(name, Role.SWITCH, own)
    routes = tuple(_routes(router, name, own, topology, ports))
    if router is None:
        return Node(name, Role.HOST, own, routes)
    return Node(name, Role.ROUTER, own, routes, (router.nat, router.outside) if router.nat is not Nat.NONE else None)


def _check(name: str, own: tuple[Port, ...]) -> None:
    subnets = [port.address.network for port in own if isinstance(port.address, IPv4Interface)]
    for number, subnet in enumerate(subnets):
        for other in subnets[number + 1 :]:
            if subnet.overlaps(other):
                raise TopologyError(f"'{name}' is in {subnet} and in {other}, which overlap (give them other subnets)")


def _is_in(own: tuple[Port, ...], there: Address) -> bool:
    """Whether a node has a network of its own that the address is of, which then shadows the far one."""
    networks = [port.address.network for port in own if isinstance(port.address, IPv4Interface)]
    return any(there.network.overlaps(network) for network in networks)


def _routes(
    own_router: Router | None, name: str, own: tuple[Port, ...], topology: Topology, ports: dict[str, list[Port]]
) -> Iterator[Route]:
    """The way out is the first gate; what is behind a router without NAT is reached through it."""
    there = {port.device for port in own if port.node == name}
    has_default = False
    for router in topology.routers:
        if router is own_router:
            continue
        at = {port.device: port.address for port in ports[router.name]}
        inside, outside = at[router.inside], at[router.outside]
        assert inside is not None
        assert outside is not None
        if router.inside in there and not has_default:
            has_default = True
            yield Route("default", str(inside.ip))
        elif router.outside in there and router.nat is Nat.NONE and not _is_in(own, inside):
            yield Route(str(inside.network), str(outside.ip))
