"""The words of the laboratory: what a topology file says (Topology), once its graphs and sites are written out as
hosts, switches, cables and routers. Nothing here touches the machine.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from ipaddress import IPv4Network


class Nat(Enum):
    """What a router does to those inside: nothing; one mapping for each inner port, open to whom it was sent to; or a
    mapping of its own for each destination.
    """

    NONE = "none"
    PORT_RESTRICTED = "port-restricted"
    SYMMETRIC = "symmetric"


class MeshKind(Enum):
    NONE = "none"
    STAND_IN = "stand-in"
    """Each host gets an fd53 address on a switch that stands in for the mesh."""
    NODE = "node"
    """The project's own node and manager."""


class By(Enum):
    """How a program is known to be ready."""

    START = "start"
    NOTIFY = "notify"
    """It says READY=1 to NOTIFY_SOCKET, as to systemd."""
    LINE = "line"
    """It writes a line in which the pattern is found."""
    SOCKET = "socket"
    """It accepts connections at the UNIX socket of that path."""
    TCP = "tcp"
    """It accepts connections at `address:port`, as seen from its own host."""
    END = "end"
    """It has ended with exit code 0."""


@dataclass(frozen=True, slots=True)
class Ready:
    by: By = By.START
    what: str = ""
    within_s: float = 60.0


@dataclass(frozen=True, slots=True)
class Quality:
    """One direction of a cable; 0 is none of each. Loss is a share of 1, and 1 is a black hole."""

    rate_bits: int = 0
    delay_ms: float = 0.0
    loss: float = 0.0


@dataclass(frozen=True, slots=True)
class Cable:
    """Between two hosts, or a host and a switch; `there` is left to right, `back` right to left."""

    left: str
    right: str
    there: Quality = Quality()
    back: Quality = Quality()


@dataclass(frozen=True, slots=True)
class Switch:
    name: str
    subnet: IPv4Network | None = None


@dataclass(frozen=True, slots=True)
class Router:
    """Stands between two switches; those inside take it for their way out."""

    name: str
    inside: str
    outside: str
    nat: Nat


@dataclass(frozen=True, slots=True)
class Program:
    """What runs on the hosts named (patterns as of file names). Words of the form ${…} are filled in for each host:
    see `templates`. `files` are written into the host's folder first.
    """

    name: str
    hosts: tuple[str, ...]
    argv: tuple[str, ...]
    env: dict[str, str] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    ready: Ready = Ready()


@dataclass(frozen=True, slots=True)
class Mesh:
    """`links` are the networks over which nodes may link, none for all; `wires` those of trusted switches. `apart` are
    hosts that know nothing of the mesh. `clusters`: hosts that are a network of their own each, with a manager among
    them; none is one of all. `plain`: the lab starts node and manager itself; else each host's viscript
    does.
    """

    kind: MeshKind = MeshKind.NONE
    managers: tuple[str, ...] = ()
    links: tuple[IPv4Network, ...] = ()
    wires: tuple[IPv4Network, ...] = ()
    plain: bool = False
    apart: tuple[str, ...] = ()
    clusters: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True, slots=True)
class Topology:
    description: str
    hosts: tuple[str, ...]
    switches: tuple[Switch, ...] = ()
    cables: tuple[Cable, ...] = ()
    routers: tuple[Router, ...] = ()
    mesh: Mesh = Mesh()
    programs: tuple[Program, ...] = ()
    """In the order of their start: the next is started where the one before is ready everywhere."""
    shell: tuple[str, ...] = ("sh",)
    """What a person gets on the first host."""
    hints: tuple[str, ...] = ()
    """What a person may try there, a line each."""

    @property
    def meshed(self) -> tuple[str, ...]:
        """The hosts with a node, where the mesh is the real one."""
        return tuple(host for host in self.hosts if host not in self.mesh.apart)

    @property
    def clusters(self) -> tuple[tuple[str, ...], ...]:
        """The hosts of each."""
        return self.mesh.clusters or (self.meshed,)

    def cluster_of(self, host: str) -> tuple[str, ...]:
        return next(cluster for cluster in self.clusters if host in cluster)

    def managers_of(self, host: str) -> tuple[str, ...]:
        """Those of its cluster."""
        return tuple(name for name in self.mesh.managers if name in self.cluster_of(host))

    @property
    def stand_in(self) -> bool:
        return self.mesh.kind is MeshKind.STAND_IN
