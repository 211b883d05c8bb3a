"""The cluster's words: this board, who may command it, and which boards it commands. Frozen; no I/O."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address

import msgspec

from viscript.signal.model import Address

IPAddress = IPv4Address | IPv6Address


class ClusterConfig(msgspec.Struct, frozen=True):
    """What `cluster.yaml` says. `listen` is the address that the others know this board by, and the source of its
    own calls; nobody is listened to as long as there is no operator. `nodes` never holds this board.
    """

    name: str
    listen: Address | None = None
    operators: frozenset[IPAddress] = frozenset()
    nodes: dict[str, Address] = {}

    @property
    def names(self) -> tuple[str, ...]:
        """All boards, this one first."""
        return (self.name, *self.nodes)
