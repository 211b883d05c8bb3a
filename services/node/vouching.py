"""A node's word that a key is its own for one purpose, pure: other programs have keys that the node need not know, and
their peers believe them by the node id alone.
"""

from __future__ import annotations

import re

import msgspec

from services.keys import Identity, NodeId
from services.manager.errors import WordsError
from services.manager.signed import read, sign
from services.node.errors import VouchError

MAX_KEY = 256
_PURPOSE = re.compile(r"[a-z][a-z0-9-]{0,31}")


class _Held(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    key: bytes


def vouch(identity: Identity, purpose: str, key: bytes) -> bytes:
    """Raises VouchError."""
    if not 1 <= len(key) <= MAX_KEY:
        raise VouchError(f"a key of {len(key)} bytes: vouched for are 1 to {MAX_KEY}")
    return sign(identity, _signed_for(purpose), _Held(key))


def read_vouched(data: bytes, purpose: str) -> tuple[NodeId, bytes]:
    """Whose word it is, and the key. Raises VouchError."""
    try:
        node_id, held = read(data, _signed_for(purpose), _Held)
    except WordsError as error:
        raise VouchError(str(error)) from None
    return node_id, held.key


def _signed_for(purpose: str) -> str:
    if not _PURPOSE.fullmatch(purpose):
        raise VouchError(f"{purpose[:40]!a} is no purpose of a key: use a-z, 0-9 and -, at most 32")
    return f"skywire key: {purpose}"
