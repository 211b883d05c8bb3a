"""Reads `manager.yaml`. Every key is optional: a board without the file is its own manager, to which nodes come by
invitation.

seed: /data/identity/seed              the same identity as the node beside it
folder: /data/mesh/manager             what the manager keeps
cluster_secret: …/cluster-secret       32 bytes, the same at all managers; made at the first start
join:
  listen: "[::]:7997"                  the join port
  announce: "203.0.113.7:7997"         where others reach it, for invitations
  admit: invited                       or open
  allowed: [<node id>, …]
others:                                the other managers of the cluster: none, or two and more
  - {id: <node id>, at: "203.0.113.8:7997", session_port: 51821}
exports: {services: [vpn], relays: false}   what clusters may use that are peered without a list of their own
updates: {begin_within_s: 120, install_within_s: 3600, return_within_s: 1200}   how long a board may take
limits: {sessions_per_min: 120, routes_of_one: 4096, routes: 50000}
node: /run/skywire/node.sock           the socket of the node beside it
socket: /run/skywire/manager.sock      the manager's own
socket_users: [viscript]               who may ask there, besides root and its own user
joined: /data/mesh/joined/node.yaml    where that file is, the board is of another network, and this manager ends
role: manager                          or both: it goes on all the same; member: in a pairing it never is the manager
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import msgspec

from services import seed_file
from services.errors import IdentityError
from services.keys import NodeId, read_node_id
from services.manager import places
from services.manager.peering.model import Exports
from services.node.places import usual_socket as node_socket
from services.settings_file import load_settings
from services.updates.model import Patience

JOIN_PORT = 7997
SESSION_PORT = 51821


def read_place(text: str) -> tuple[str, int]:
    """`host:port` or `[address]:port`; the port may be left out. Raises ValueError."""
    host, port = text, str(JOIN_PORT)
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            raise ValueError(f"'{text}' is not host:port")
        port = rest[1:] or port
    elif text.count(":") == 1:
        host, port = text.split(":")
    if not host or not port.isdigit() or not 0 <= int(port) <= 65535 or any(letter.isspace() for letter in host):
        raise ValueError(f"'{text}' is not host:port")
    return host, int(port)


def place_text(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _check_id(text: str) -> None:
    try:
        read_node_id(text)
    except IdentityError as error:
        raise ValueError(str(error)) from None


class Join(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    listen: str = f"[::]:{JOIN_PORT}"
    announce: str = ""
    admit: Literal["open", "invited"] = "invited"
    allowed: tuple[NodeId, ...] = ()

    def __post_init__(self) -> None:
        read_place(self.listen)
        if self.announce:
            read_place(self.announce)
        for node_id in self.allowed:
            _check_id(node_id)


class Other(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Another manager. `at` is its join address; its node's session socket is at the same host."""

    id: NodeId
    at: str
    session_port: int = SESSION_PORT

    def __post_init__(self) -> None:
        _check_id(self.id)
        read_place(self.at)
        if not 1 <= self.session_port <= 65535:
            raise ValueError(f"session_port '{self.session_port}' is not from 1 to 65535")


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`sessions_per_min` and `routes_of_one` are of each node that asks."""

    sessions_per_min: int = 120
    routes_of_one: int = 4096
    routes: int = 50_000

    def __post_init__(self) -> None:
        if min(self.sessions_per_min, self.routes_of_one, self.routes) < 1:
            raise ValueError("every limit is 1 or more")


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    seed: Path = msgspec.field(default_factory=seed_file.usual_place)
    folder: Path = msgspec.field(default_factory=places.usual_folder)
    cluster_secret: Path | None = None
    join: Join = Join()
    others: tuple[Other, ...] = ()
    limits: Limits = Limits()
    exports: Exports = Exports()
    updates: Patience = Patience()
    node: Path = msgspec.field(default_factory=node_socket)
    socket: Path = msgspec.field(default_factory=places.usual_socket)
    socket_users: tuple[str, ...] = ()
    joined: Path | None = None
    role: Literal["", "member", "manager", "both"] = ""

    def __post_init__(self) -> None:
        if len(self.others) == 1:
            raise ValueError("one other manager is one too few: of two, neither may go on alone (name two, or none)")
        if len({other.id for other in self.others}) < len(self.others):
            raise ValueError("the same manager is named twice in others")

    @property
    def secret_file(self) -> Path:
        return self.cluster_secret or self.folder / "cluster-secret"

    @property
    def is_over(self) -> bool:
        """Whether this board is a member elsewhere, and nobody said that it is a manager all the same."""
        return self.role not in {"manager", "both"} and self.joined is not None and self.joined.exists()


def load_config(path: Path | None, defaults: Path | Sequence[Path] = ()) -> Config:
    """What a file says that was named, or the usual one where there is one. Raises SettingsError."""
    return load_settings(Config, path, defaults, places.usual_config())
