"""What a node holds of its managers once it is admitted, pure: words to keep, facts of its sessions with them."""

from __future__ import annotations

import base64
from ipaddress import IPv6Network, ip_address
from urllib.parse import urlsplit

import msgspec

from services.addresses import session_address
from services.kernel.model import SESSIONS, AllowedIp, Endpoint, IpAddress, IpNetwork, Key, Peer, outer
from services.keys import NodeId, session_key
from services.manager.admission import Admitted
from services.manager.errors import WordsError
from services.manager.record import NodeRecord, read_record
from services.node.errors import RefusedError
from services.node.model import Facts
from services.node.neighbours import KEEPALIVE_S, candidates


class Admission(msgspec.Struct, frozen=True):
    """`places`: where each manager is on the underlay. `records` are as the managers signed them."""

    token: str
    urls: tuple[str, ...]
    managers: tuple[NodeId, ...]
    records: tuple[bytes, ...]
    places: dict[NodeId, str]

    def read_records(self) -> dict[NodeId, NodeRecord]:
        """Raises WordsError."""
        found = [read_record(signed) for signed in self.records]
        return {record.node_id: record for record in found if record.node_id in self.managers}


class _Times(msgspec.Struct):
    iat: int
    exp: int = 0


def read_admission(admitted: Admitted, places: dict[NodeId, IpAddress], networks: tuple[IpNetwork, ...]) -> Admission:
    """`places` are known; the others are where their records say. Raises RefusedError for what is not sound."""
    managers = tuple(dict.fromkeys(admitted.managers))
    try:
        words = Admission(admitted.bus_token, admitted.bus_urls, managers, admitted.records, {})
        records = words.read_records()
        addresses = {str(session_address(node_id)) for node_id in managers}
    except WordsError as error:
        raise RefusedError(f"the manager admits with a false record: {error}") from None
    for url in words.urls:
        if urlsplit(url).hostname not in addresses:
            raise RefusedError(f"the manager's bus '{url[:80]}' is not at a session address of a manager")
    found: dict[NodeId, str] = {}
    for node_id, record in records.items():
        place = places.get(node_id) or next((end.address for end in candidates(record, "", networks, ())), None)
        if place is not None:
            found[node_id] = str(place)
    return msgspec.structs.replace(words, places=found)


def manager_facts(record: NodeRecord, place: str) -> Facts:
    """The session with a manager."""
    key = session_key(record.node_id)
    at = ip_address(place)
    others = {end.address for end in candidates(record, "", (), ())}
    return (
        Peer(SESSIONS, key, Endpoint(at, record.session_port), KEEPALIVE_S),
        AllowedIp(SESSIONS, IPv6Network(record.session_address), key),
        *(outer(address) for address in {at, *others}),
    )


def peer_key(node_id: NodeId) -> Key:
    return (Peer, SESSIONS, session_key(node_id))


def token_life_s(token: str) -> float | None:
    """How long the bus takes it, by its own words; None where they are not understood. The server checks them."""
    try:
        body = token.split(".")[1]
        times = msgspec.json.decode(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)), type=_Times)
    except (IndexError, msgspec.DecodeError, ValueError):
        return None
    return float(times.exp - times.iat) if times.exp > times.iat else None
