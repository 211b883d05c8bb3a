"""The messenger's own key, what it seals for others' mailboxes, and what it locks up on its disk. A door to nacl.

The messenger runs as a user of its own and never sees the node's seed: it draws an Ed25519 key (a file, 0600, beside
the store), and the node vouches for it. From the same file comes the key of what waits to be delivered
(XSalsa20-Poly1305). A mailbox item is a libsodium sealed box to the receiver's messenger key; inside, padded to a power
of two, are sender, post and signature, so that who keeps it learns the receiver and a rough size.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import msgspec
from nacl import bindings, utils
from nacl.exceptions import CryptoError

from services import keys, seed_file
from services.errors import IdentityError, SealError
from services.keys import Identity, NodeId, new_seed, read_node_id, verify
from services.manager import signed
from services.manager.errors import ManagerError
from services.messenger.errors import PeerKeyError, StoreError, WireError
from services.messenger.model import MAX_SEALED, Boxed, GroupStatement
from services.node.errors import NodeError
from services.node.vouching import read_vouched
from services.secrecy import SECRET_BYTES, Secret

PURPOSE = "messenger"
ITEM = "skywire mailbox item"
GROUP = "skywire group"
SMALLEST = 1024

_LOCKER = b"skywire outbox"
_NONCE = bindings.crypto_secretbox_NONCEBYTES
_boxed = msgspec.msgpack.Decoder(Boxed)


class Locker:
    """Locks what lies on the disk until it is delivered."""

    def __init__(self, secret: Secret) -> None:
        self._key = Secret(hashlib.blake2b(digest_size=SECRET_BYTES, key=secret.reveal(), person=_LOCKER).digest())

    def lock(self, data: bytes) -> bytes:
        nonce = utils.random(_NONCE)
        return nonce + bindings.crypto_secretbox(data, nonce, self._key.reveal())

    def unlock(self, locked: bytes) -> bytes:
        """Raises StoreError."""
        try:
            return bindings.crypto_secretbox_open(locked[_NONCE:], locked[:_NONCE], self._key.reveal())
        except (CryptoError, ValueError):
            raise StoreError("what waits on the disk was locked with another key: was the key file changed?") from None

    def read(self, locked: bytes) -> str:
        """A text; without the key it was locked with it is gone for good, which is said in its place."""
        try:
            return self.unlock(locked).decode()
        except (StoreError, UnicodeDecodeError):
            return "(locked with a key that is gone)"


class Keys:
    """`public` is the messenger's own public key, as text."""

    def __init__(self, secret: Secret) -> None:
        self._identity = Identity(secret)
        self.locker = Locker(secret)
        self.public = self._identity.node_id

    def sign_group(self, statement: GroupStatement, vouch: bytes) -> bytes:
        """What `read_group` reads: the statement as signed, and the node's word for the key."""
        return msgspec.msgpack.encode((vouch, signed.sign(self._identity, GROUP, statement)))

    def seal(self, to_key: NodeId, to: NodeId, item: Boxed) -> bytes:
        """`item` without signature; raises PeerKeyError where it is too long to be kept by anybody."""
        item = msgspec.structs.replace(item, signature=self._identity.sign(ITEM, _text(item, to)))
        sealed = keys.seal(to_key, _padded(msgspec.msgpack.encode(item)))
        if len(sealed) > MAX_SEALED:
            raise PeerKeyError(f"{len(item.body)} bytes are too many for a mailbox")
        return sealed

    def unseal(self, sealed: bytes, me: NodeId) -> Boxed:
        """What was sealed for this messenger, its signature checked. Raises WireError, PeerKeyError."""
        try:
            item = _boxed.decode(_unpadded(self._identity.unseal(sealed)))
        except SealError as error:
            raise WireError(str(error)) from None
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise WireError(f"a sealed item holds no post: {error}") from None
        key = read_vouch(item.key, item.by)
        try:
            verify(key, ITEM, _text(item, me), item.signature)
        except IdentityError as error:
            raise WireError(str(error)) from None
        return item


def open_keys(path: Path) -> Keys:
    """The key file; it is made where there is none. Raises SeedFileError."""
    if not path.exists():
        seed_file.create(path, new_seed())
    return Keys(seed_file.read(path))


def read_vouch(data: bytes, by: NodeId) -> NodeId:
    """The messenger key that this node vouches for. Raises PeerKeyError."""
    try:
        signer, key = read_vouched(data, PURPOSE)
        if signer != by:
            raise PeerKeyError(f"the key of node '{by}' is vouched for by another, '{signer}'")
        return read_node_id(key.hex())
    except (NodeError, IdentityError) as error:
        raise PeerKeyError(f"the key of node '{by}' is not vouched for: {error}") from None


def read_group(data: bytes) -> GroupStatement:
    """A statement that its owner's messenger signed. Raises WireError, PeerKeyError."""
    try:
        vouch, text = msgspec.msgpack.decode(data, type=tuple[bytes, bytes])
        by, statement = signed.read(text, GROUP, GroupStatement)
        if group_id(read_node_id(statement.owner), statement.nonce) != statement.group:
            raise WireError(f"group '{statement.group[:32]}' is not of that owner's making")
    except (msgspec.DecodeError, ManagerError, IdentityError) as error:
        raise WireError(f"not a group's statement: {error}") from None
    if read_vouch(vouch, statement.owner) != by:
        raise WireError(f"group '{statement.group}' is signed with a key that is not its owner's")
    return statement


def group_id(owner: NodeId, nonce: str) -> str:
    """32 hex digits: nobody else can make a group of that id."""
    return hashlib.blake2b(f"{owner} {nonce}".encode(), digest_size=16, person=b"skywire group").hexdigest()


def _text(item: Boxed, to: NodeId) -> bytes:
    return msgspec.msgpack.encode((to, item.by, item.stream, item.number, item.body))


def _padded(data: bytes) -> bytes:
    size = SMALLEST
    while size < len(data) + 4:
        size *= 2
    return len(data).to_bytes(4, "big") + data + bytes(size - 4 - len(data))


def _unpadded(data: bytes) -> bytes:
    size = int.from_bytes(data[:4], "big")
    if size > len(data) - 4:
        raise WireError("a sealed item is shorter than it says")
    return data[4 : 4 + size]
