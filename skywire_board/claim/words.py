"""What is said on the claim socket, pure: one line of JSON asks, one answers; and what sshd tells of the key in use.

{"do":"pin","key":"ssh-ed25519 AAAA…"}
{"is":"pinned","fingerprint":"SHA256:…"}
{"is":"refused","text":"this board is claimed already"}
"""

import base64
import binascii
import hashlib

import msgspec

from skywire_board.errors import ClaimError

MAX_LINE = 16_384
"""Bytes; an RSA key of 16,384 bits has 2,800 letters."""

TYPES = frozenset({
    *("ssh-ed25519", "ssh-rsa", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521"),
    *("sk-ssh-ed25519@openssh.com", "sk-ecdsa-sha2-nistp256@openssh.com"),
})  # fmt: skip


class Pin(msgspec.Struct, frozen=True, tag_field="do", tag="pin", forbid_unknown_fields=True):
    """Make this key the owner's."""

    key: str


class Pinned(msgspec.Struct, frozen=True, tag_field="is", tag="pinned"):
    """It is, durably."""

    fingerprint: str


class Refused(msgspec.Struct, frozen=True, tag_field="is", tag="refused"):
    """It is not."""

    text: str


Answer = Pinned | Refused


def read_key(text: str) -> tuple[str, str]:
    """Type and base64 of a plain public key as sshd writes it (RFC 4253, 6.6). Raises ClaimError."""
    words = text.split(" ")
    if len(words) != 2 or words[0] not in TYPES:
        raise ClaimError(f"'{text[:80]}' is no plain public key: expected a type such as ssh-ed25519, and base64")
    try:
        blob = base64.b64decode(words[1], validate=True)
    except (binascii.Error, ValueError):
        blob = b""
    length = int.from_bytes(blob[:4], "big")
    if blob[4 : 4 + length] != words[0].encode() or len(blob) <= 4 + length:
        raise ClaimError(f"'{text[:80]}' is no public key of type '{words[0]}': use another key")
    return words[0], words[1]


def fingerprint(key: str) -> str:
    """As `ssh-keygen -l` prints it. Raises ClaimError."""
    digest = hashlib.sha256(base64.b64decode(read_key(key)[1])).digest()
    return f"SHA256:{base64.b64encode(digest).decode().rstrip('=')}"


def read_used_key(told: str) -> str:
    """The key of the session, out of what sshd's ExposeAuthInfo wrote. Raises ClaimError unless it is the one proof."""
    lines = told.splitlines()
    method, _, key = lines[0].partition(" ") if lines else ("", "", "")
    if len(lines) != 1 or method != "publickey":
        raise ClaimError(f"sshd tells of {len(lines)} proofs, the first by '{method[:20]}': expected one key")
    read_key(key)
    return key
