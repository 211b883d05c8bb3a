"""What of a wish to carry networks the kernel must hold, and which wishes cannot be; pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from hashlib import blake2b
from ipaddress import ip_network
from typing import NamedTuple

from services.errors import IdentityError
from services.kernel.model import SESSIONS, AllowedIp, Fact, Forwarding, IpNetwork, exit_for, gateway, is_ours
from services.keys import NodeId, read_node_id
from services.node.api_words import Carry, Uncarry
from services.node.errors import CarryError
from services.node.own import SUNK
from services.node.session_words import peer_key

MAX_NETWORKS, MAX_GATEWAYS = 64, 8
_INTERFACE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:@-]{0,14}")


class Carriage(NamedTuple):
    """Which networks to whom; there is one wish of each."""

    node_id: NodeId
    networks: tuple[IpNetwork, ...]

    @property
    def name(self) -> str:
        text = ",".join(map(str, self.networks))
        return f"{self.node_id}:{blake2b(text.encode(), digest_size=8).hexdigest()}"

    @property
    def owner(self) -> str:
        return f"carry:{self.name}"


def read_carriage(wish: Carry | Uncarry) -> Carriage:
    """Raises CarryError."""
    if not 1 <= len(wish.networks) <= MAX_NETWORKS:
        raise CarryError(f"{len(wish.networks)} networks: 1 to {MAX_NETWORKS} are carried at once")
    try:
        networks = {ip_network(text) for text in wish.networks}
        node_id = read_node_id(wish.node_id)
    except (ValueError, IdentityError) as error:
        raise CarryError(str(error)) from None
    ordered = sorted(networks, key=lambda one: (one.version, one.network_address.packed, one.prefixlen))
    return Carriage(node_id, tuple(ordered))


def check(wish: Carry, carriage: Carriage) -> None:
    """Raises CarryError."""
    for network in carriage.networks:
        if any(network.version == ours.version and network.subnet_of(ours) for ours in SUNK):
            raise CarryError(f"network '{network}' is the mesh's own: it is not carried for anybody")
        if wish.forwards and network.num_addresses != 1:
            raise CarryError(f"network '{network}': with 'forwards' only single addresses are carried (/32, /128)")
    if len(wish.gateways) > MAX_GATEWAYS:
        raise CarryError(f"{len(wish.gateways)} gateways: at most {MAX_GATEWAYS}")
    for name in wish.gateways:
        if not _INTERFACE.fullmatch(name) or is_ours(name) or name == "lo":
            raise CarryError(f"{name[:20]!a} is no interface whose packets may enter the mesh")


def facts(wish: Carry, carriage: Carriage) -> Iterator[Fact]:
    key = peer_key(carriage.node_id)
    for network in carriage.networks:
        yield AllowedIp(SESSIONS, network, key)
        if wish.forwards:
            yield exit_for(network.network_address)
    yield from (gateway(name) for name in wish.gateways)
    if (wish.forwards or wish.gateways) and any(network.version == 6 for network in carriage.networks):
        yield Forwarding(SESSIONS)
