"""The keys of a node: an Ed25519 identity from a 32-byte seed, and the X25519 keys of its two WireGuard interfaces.

    seed ─ Ed25519 ──────────────── node id: the public key, 64 lowercase hex digits
     │        └─ libsodium's map ── session key; its public part follows from the node id alone
     └─ BLAKE2b, keyed ──────────── link key; its public part is published in the node's signed record

The map to X25519 forgets the sign of a point, so two node ids would share a session key. Only ids whose sign bit is 0
are valid here; a seed that gives the other kind is hashed until it does not (`Identity.new` draws none of those).
This module is the door to nacl. Files and words live elsewhere.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import secrets
from functools import lru_cache
from typing import NewType, NoReturn

from nacl import bindings
from nacl.exceptions import BadSignatureError, CryptoError
from nacl.exceptions import RuntimeError as SodiumError

from services.errors import CurveKeyError, NodeIdError, SealError, SignatureError, shown
from services.secrecy import SECRET_BYTES, Secret

NodeId = NewType("NodeId", str)
"""An identity's public key as text; `read_node_id` makes one of what came from outside."""

CurveKey = NewType("CurveKey", bytes)
"""An X25519 public key, 32 bytes; `read_curve_key` makes one of what came from outside."""

SIGNATURE_BYTES = 64

_LINK = b"skywire link"
_EVEN = b"skywire even"
_SHARED = b"skywire shared"
"""BLAKE2b personalisations: what is derived for one use says nothing about the other."""

_NODE_ID = re.compile(r"[0-9a-f]{64}")
_NONCE = re.compile(rb"[A-Za-z0-9_-]{8,64}")
_SIGN_BIT = 0x80
_CURVE_PRIME = 2**255 - 19


class Identity:
    """A node's key pairs. Its public parts are attributes; of the private ones it shows nothing, and pickles none."""

    __slots__ = ("_link", "_signing", "link_key", "node_id", "session_key")

    def __init__(self, seed: Secret) -> None:
        signing = Secret(seed.reveal())
        while (public := bindings.crypto_sign_seed_keypair(signing.reveal())[0])[-1] & _SIGN_BIT:
            signing = _derive(signing, _EVEN)
        self._signing = signing
        self._link = _clamped(_derive(seed, _LINK))
        self.node_id = NodeId(public.hex())
        self.session_key = session_key(self.node_id)
        self.link_key = CurveKey(bindings.crypto_scalarmult_base(self._link.reveal()))

    def sign(self, purpose: str, message: bytes) -> bytes:
        """64 bytes that hold for this purpose alone: what is signed is the purpose, a NUL, and the message."""
        private = self._signing.reveal() + bytes.fromhex(self.node_id)
        return bindings.crypto_sign(_for_purpose(purpose, message), private)[:SIGNATURE_BYTES]

    def sign_nonce(self, nonce: bytes) -> bytes:
        """Answers a server that checks keys with text of its own. No text of `sign` has this form: each has a NUL.

        Raises SignatureError for what is no nonce.
        """
        if not _NONCE.fullmatch(nonce):
            raise SignatureError(f"{shown(nonce[:80].decode('latin-1'))} is not a nonce: refused to sign it")
        private = self._signing.reveal() + bytes.fromhex(self.node_id)
        return bindings.crypto_sign(nonce, private)[:SIGNATURE_BYTES]

    def unseal(self, sealed: bytes) -> bytes:
        """What somebody sealed for this node; it says nothing of by whom. Raises SealError."""
        try:
            return bindings.crypto_box_seal_open(sealed, self.session_key, self.session_secret().reveal())
        except CryptoError:
            raise SealError(f"{len(sealed)} bytes are not sealed for node '{self.node_id}', or were changed") from None

    def session_secret(self) -> Secret:
        """The private key of the end-to-end interface."""
        private = self._signing.reveal() + bytes.fromhex(self.node_id)
        return Secret(bindings.crypto_sign_ed25519_sk_to_curve25519(private))

    def link_secret(self) -> Secret:
        """The private key of the hop-by-hop interface."""
        return Secret(self._link.reveal())

    def wipe(self) -> None:
        self._signing.wipe()
        self._link.wipe()

    def __repr__(self) -> str:
        return f"Identity({self.node_id})"

    def __reduce_ex__(self, _: object) -> NoReturn:
        raise TypeError("an identity is not pickled or copied")


class Issuer:
    """A key pair that signs credentials of other programs' making, word for word; it is nobody's identity."""

    __slots__ = ("_signing", "public")

    def __init__(self, secret: Secret, use: bytes) -> None:
        """`use` (up to 16 bytes) tells apart the issuers of one secret."""
        self._signing = _derive(secret, use)
        self.public = bindings.crypto_sign_seed_keypair(self._signing.reveal())[0]

    def sign(self, text: bytes) -> bytes:
        return bindings.crypto_sign(text, self._signing.reveal() + self.public)[:SIGNATURE_BYTES]

    def __repr__(self) -> str:
        return f"Issuer({self.public.hex()})"

    def __reduce_ex__(self, _: object) -> NoReturn:
        raise TypeError("an issuer is not pickled or copied")


def seal(node_id: NodeId, message: bytes) -> bytes:
    """For that node's eyes alone, 48 bytes longer. Raises NodeIdError."""
    return bindings.crypto_box_seal(message, session_key(node_id))


def shared_key(identity: Identity, node_id: NodeId) -> Secret:
    """What these two nodes alone can compute, the same at both, from their session keys. Raises NodeIdError."""
    product = bindings.crypto_scalarmult(identity.session_secret().reveal(), session_key(node_id))
    both = b"".join(sorted((key_bytes(identity.node_id), key_bytes(node_id))))
    return Secret(hashlib.blake2b(both, digest_size=SECRET_BYTES, key=product, person=_SHARED).digest())


def new_seed() -> Secret:
    """A random seed that is itself the Ed25519 seed of its node id, so that any other program agrees about it."""
    while True:
        seed = Secret(secrets.token_bytes(SECRET_BYTES))
        if not bindings.crypto_sign_seed_keypair(seed.reveal())[0][-1] & _SIGN_BIT:
            return seed


def verify(node_id: NodeId, purpose: str, message: bytes, signature: bytes) -> None:
    """Raises SignatureError unless that node signed that message for that purpose; NodeIdError for no node id."""
    public = key_bytes(node_id)
    if len(signature) != SIGNATURE_BYTES:
        raise SignatureError(f"a signature has {SIGNATURE_BYTES} bytes, this one {len(signature)}")
    try:
        bindings.crypto_sign_open(signature + _for_purpose(purpose, message), public)
    except BadSignatureError:
        raise SignatureError(f"the signature for '{purpose}' is not by node '{node_id}', or not of this text") from None


def read_node_id(text: str) -> NodeId:
    """Raises NodeIdError, which says why nobody can have that id."""
    key_bytes(text)
    return NodeId(text)


@lru_cache(maxsize=1 << 14)
def key_bytes(node_id: str) -> bytes:
    """The 32 bytes behind a node id, checked: type hints do not hold what a peer sent."""
    if not _NODE_ID.fullmatch(node_id):
        raise NodeIdError(f"{shown(node_id)} is not a node id: expected 64 digits of 0-9 a-f")
    public = bytes.fromhex(node_id)
    if public[-1] & _SIGN_BIT:
        raise NodeIdError(f"{shown(node_id)} is not a node id: its sign bit is set (another id has its session key)")
    if not bindings.crypto_core_ed25519_is_valid_point(public):
        raise NodeIdError(f"{shown(node_id)} is not a node id: no key pair can have this public key")
    return public


def session_key(node_id: NodeId) -> CurveKey:
    """Anybody's session key. Raises NodeIdError."""
    return CurveKey(bindings.crypto_sign_ed25519_pk_to_curve25519(key_bytes(node_id)))


def read_curve_key(text: str) -> CurveKey:
    """A public key as WireGuard writes it, 44 characters of base64. Raises CurveKeyError."""
    try:
        key = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != SECRET_BYTES or wireguard_text(key) != text:
        raise CurveKeyError(f"{shown(text)} is not a WireGuard key: expected 44 characters of base64")
    if int.from_bytes(key, "little") >= _CURVE_PRIME or _is_small_order(key):
        raise CurveKeyError(f"{shown(text)} is not a public key that gives a secret: refused")
    return CurveKey(key)


def wireguard_text(key: bytes) -> str:
    """A key as WireGuard's tools write it; of a private one only for the door to the kernel."""
    return base64.b64encode(key).decode()


def _is_small_order(key: bytes) -> bool:
    """libsodium refuses to multiply such a point by anything."""
    try:
        bindings.crypto_scalarmult(bytes(SECRET_BYTES), key)
    except SodiumError:
        return True
    return False


def _derive(seed: Secret, use: bytes) -> Secret:
    return Secret(hashlib.blake2b(digest_size=SECRET_BYTES, key=seed.reveal(), person=use).digest())


def _clamped(key: Secret) -> Secret:
    scalar = bytearray(key.reveal())
    scalar[0] &= 0xF8
    scalar[31] = scalar[31] & 0x7F | 0x40
    return Secret(scalar)


def _for_purpose(purpose: str, message: bytes) -> bytes:
    if not purpose or "\0" in purpose:
        raise ValueError(f"a purpose is a word without NUL, not {purpose!r}")
    return purpose.encode() + b"\0" + message
