"""What both WireGuard backends do, the kernel's and wireguard-go's, and how networks are taken from a peer: neither old
kernels nor Debian's wireguard-go can remove one, but giving a network to another peer moves it, so it goes to a peer
thrown away at once. That is one way for all of them; its price is per batch, not per network.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

from services.kernel.model import AllowedIp, Device, IpNetwork, Peer, Traffic

Found = Device | Peer | AllowedIp


class Tunnels(Protocol):
    def create(self, name: str) -> None:
        """Makes the interface, down and without a key."""

    def has(self, name: str) -> bool:
        """Whether the interface of that name is this backend's."""

    def read(self, name: str) -> Iterator[Found]:
        """Everything of the interface. It lists every allowed IP: for a start, not for polling."""

    def traffic(self, name: str) -> list[Traffic]:
        """The peers' figures. Costs as much as `read`: poll `sky0`, whose peers have few networks, not `sky-link`."""

    def put_device(self, device: Device) -> None: ...

    def put_peer(self, peer: Peer) -> None:
        """Adds or changes the peer; its networks stay."""

    def drop_peer(self, name: str, public_key: bytes) -> None:
        """It is no error that there is none."""

    def put_allowed(self, name: str, public_key: bytes, networks: Sequence[IpNetwork]) -> None:
        """Adds networks to the peer's, whoever had them, making the peer if need be."""

    def close(self) -> None: ...


def drop_allowed(tunnels: Tunnels, name: str, networks: Iterable[IpNetwork]) -> None:
    thrown_away = os.urandom(32)
    try:
        tunnels.put_allowed(name, thrown_away, list(networks))
    finally:
        tunnels.drop_peer(name, thrown_away)
