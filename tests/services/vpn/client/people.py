"""Servers of these tests; real identities, since addresses follow from them."""

from __future__ import annotations

from services.addresses import session_address
from services.app.choice import Server
from services.keys import Identity
from services.secrecy import Secret
from services.vpn.words import PORT, SERVICE

IDENTITIES = [Identity(Secret(bytes([number]) * 32)) for number in (1, 2, 3)]
SERVERS = [Server(one.node_id, SERVICE, str(session_address(one.node_id)), PORT, ("country=de",)) for one in IDENTITIES]
