"""Who may use the bus: the tokens of the operator, its accounts and their users, as nats-server reads them. Pure.

    cluster secret ─┬ operator  signs the accounts
                    ├ mesh      the account of managers and nodes; signs its users; lists who was expelled
                    └ system    nats-server's own account, by which a manager changes the list while it runs

The managers of one cluster share that secret. A node's user *is* its identity (the same key in NATS's spelling), so
its token is no secret, no key is made or sent, and who is expelled is known by the node id. The server forgets nothing
by the clock: an expelled node is listed until it is admitted again.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Collection, Mapping
from ipaddress import IPv6Address

import msgspec

from services.keys import Identity, Issuer, NodeId, key_bytes
from services.manager.subjects import node_may_publish, node_may_subscribe
from services.secrecy import Secret

Claims = Mapping[str, object]

_OPERATOR, _ACCOUNT, _USER = 14 << 3, 0, 20 << 3
_HEADER = {"typ": "JWT", "alg": "ed25519-nkey"}
_NO_LIMIT = {"subs": -1, "data": -1, "payload": -1}
_ACCOUNT_LIMITS = _NO_LIMIT | {
    "imports": -1,
    "exports": -1,
    "wildcards": True,
    "conn": -1,
    "leaf": 0,
    "disallow_bearer": True,
}
_STREAM_LIMITS = {"mem_storage": -1, "disk_storage": -1, "streams": -1, "consumer": -1}
_EVERY_TOKEN = 1 << 52
"""A second that no token was issued after."""

MAX_SUBSCRIPTIONS, MAX_PAYLOAD = 64, 32 * 1024
"""Of a node; the server drops what is over, or the connection."""

ANSWER_WITHIN_S = 30


class Authority:
    """Signs tokens with what follows from the cluster secret."""

    def __init__(self, secret: Secret) -> None:
        self._operator = Issuer(secret, b"nats operator")
        self._mesh = Issuer(secret, b"nats mesh")
        self._system = Issuer(secret, b"nats system")
        self._routes = Issuer(secret, b"nats routes")
        self.mesh_account = nkey(_ACCOUNT, self._mesh.public)
        self.system_account = nkey(_ACCOUNT, self._system.public)

    def operator_token(self) -> str:
        claims = {"type": "operator", "version": 2, "system_account": self.system_account}
        return self._token(self._operator, _OPERATOR, nkey(_OPERATOR, self._operator.public), "skywire", claims)

    def account_tokens(self, expelled: Collection[NodeId]) -> dict[str, str]:
        """Account → its token."""
        revocations = {user(node_id): _EVERY_TOKEN for node_id in sorted(expelled)}
        mesh = {
            "limits": _ACCOUNT_LIMITS | _STREAM_LIMITS,
            "revocations": revocations,
            "type": "account",
            "version": 2,
        }
        system = {"limits": _ACCOUNT_LIMITS, "type": "account", "version": 2}
        return {
            self.mesh_account: self._token(self._operator, _OPERATOR, self.mesh_account, "mesh", mesh),
            self.system_account: self._token(self._operator, _OPERATOR, self.system_account, "system", system),
        }

    def node_token(self, node_id: NodeId, *, issued_at: int, expires_at: int, address: IPv6Address | None) -> str:
        """What a node may, until then, and from its session address alone (None: from anywhere)."""
        rights = {
            "pub": {"allow": node_may_publish(node_id)},
            "sub": {"allow": node_may_subscribe(node_id)},
            "resp": {"max": 1, "ttl": ANSWER_WITHIN_S * 1_000_000_000},
            "subs": MAX_SUBSCRIPTIONS,
            "data": -1,
            "payload": MAX_PAYLOAD,
            "allowed_connection_types": ["STANDARD"],
        }
        if address is not None:
            rights["src"] = [f"{address}/128"]
        return self._user_token(self._mesh, node_id, rights, issued_at=issued_at, expires_at=expires_at)

    def manager_token(self, node_id: NodeId) -> str:
        """Everything within the mesh account. A manager makes its own and hands it to nobody."""
        return self._user_token(self._mesh, node_id, _NO_LIMIT)

    def system_token(self, node_id: NodeId) -> str:
        return self._user_token(self._system, node_id, _NO_LIMIT)

    def route_password(self) -> str:
        """What the servers of one cluster tell one another, beside the session that authenticates them."""
        return hashlib.blake2b(self._routes.sign(b"password"), digest_size=16).hexdigest()

    def _user_token(
        self, issuer: Issuer, node_id: NodeId, rights: Claims, *, issued_at: int = 1, expires_at: int = 0
    ) -> str:
        claims = {**rights, "type": "user", "version": 2}
        return self._token(issuer, _ACCOUNT, user(node_id), node_id, claims, issued_at=issued_at, expires_at=expires_at)

    def _token(
        self,
        issuer: Issuer,
        kind: int,
        subject: str,
        name: str,
        claims: Claims,
        *,
        issued_at: int = 1,
        expires_at: int = 0,
    ) -> str:
        body = {"iat": issued_at, "iss": nkey(kind, issuer.public), "name": name, "sub": subject, "nats": claims}
        if expires_at:
            body["exp"] = expires_at
        body["jti"] = hashlib.sha256(msgspec.json.encode(body)).hexdigest()
        text = f"{_base64(msgspec.json.encode(_HEADER))}.{_base64(msgspec.json.encode(body))}"
        return f"{text}.{_base64(issuer.sign(text.encode()))}"


def user(node_id: NodeId) -> str:
    """The node's key as NATS names users."""
    return nkey(_USER, key_bytes(node_id))


def nkey(kind: int, public: bytes) -> str:
    data = bytes([kind]) + public
    return base64.b32encode(data + binascii.crc_hqx(data, 0).to_bytes(2, "little")).decode()


def answer_nonce(identity: Identity, nonce: str) -> bytes:
    """What a client sends back when the server checks its key."""
    return base64.b64encode(identity.sign_nonce(nonce.encode()))


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
