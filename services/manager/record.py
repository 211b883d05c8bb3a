"""A node's record of itself, pure: made and signed by the node, checked by whoever is handed it, also by other nodes.

The sequence is kept on the node's disk and rises with every change, so an old record cannot bring an old link key
back. Addresses are written out and computed anew here: a record whose address is not that of its key is refused.
"""

from __future__ import annotations

import msgspec

from services.addresses import (
    LINKS,
    SESSIONS,
    check_link,
    check_session,
    link_address,
    read_address,
    session_address,
)
from services.errors import IdentityError
from services.keys import Identity, NodeId, read_curve_key, wireguard_text
from services.manager.errors import OlderError, WordsError
from services.manager.signed import read, sign

PURPOSE = "skywire node record"
MAX_ENDPOINTS = 16


class NodeRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`endpoints` are `address:port` of its link socket on the underlay, the best first; `session_port` is that of its
    session socket at the same addresses; `wires` its addresses on trusted switches; `link_key` as WireGuard writes it.
    """

    node_id: NodeId
    sequence: int
    link_key: str
    link_address: str
    session_address: str
    endpoints: tuple[str, ...] = ()
    version: str = ""
    relays: bool = False
    session_port: int = 51821
    wires: tuple[str, ...] = ()


def make_record(
    identity: Identity,
    sequence: int,
    endpoints: tuple[str, ...],
    version: str,
    *,
    relays: bool = False,
    session_port: int = 51821,
    wires: tuple[str, ...] = (),
) -> NodeRecord:
    return NodeRecord(
        identity.node_id,
        sequence,
        wireguard_text(identity.link_key),
        str(link_address(identity.link_key)),
        str(session_address(identity.node_id)),
        endpoints,
        version,
        relays,
        session_port,
        wires,
    )


def sign_record(identity: Identity, record: NodeRecord) -> bytes:
    _check(identity.node_id, record)
    return sign(identity, PURPOSE, record)


def read_record(data: bytes, known: NodeRecord | None = None) -> NodeRecord:
    """The record, true to its signature, its addresses and what was known. Raises WordsError or OlderError.

    The very record that is known passes: nodes say it again.
    """
    by, record = read(data, PURPOSE, NodeRecord)
    _check(by, record)
    if known is None or record == known:
        return record
    if known.node_id != record.node_id:
        raise WordsError(f"a record of node '{record.node_id}' in the place of that of '{known.node_id}'")
    if record.sequence <= known.sequence:
        raise OlderError(
            f"node '{record.node_id}' sent record {record.sequence}, and {known.sequence} is known (a replay, or its "
            "sequence was lost: it joins again with a higher one)"
        )
    return record


def _check(by: NodeId, record: NodeRecord) -> None:
    if record.node_id != by:
        raise WordsError(f"a record of node '{record.node_id}', signed by '{by}'")
    if record.sequence < 1:
        raise WordsError(f"a record's sequence is 1 or more, not {record.sequence}")
    texts = (*record.endpoints, *record.wires, record.version)
    if max(len(record.endpoints), len(record.wires)) > MAX_ENDPOINTS or any(len(text) > 80 for text in texts):
        raise WordsError(f"the record of node '{by}' has more endpoints than {MAX_ENDPOINTS}, or too long ones")
    if not 1 <= record.session_port <= 65535:
        raise WordsError(f"the record of node '{by}' has session port {record.session_port}: expected 1 to 65535")
    try:
        check_link(read_curve_key(record.link_key), read_address(record.link_address, LINKS))
        check_session(record.node_id, read_address(record.session_address, SESSIONS))
    except IdentityError as error:
        raise WordsError(f"the record of node '{by}' is false: {error}") from None
