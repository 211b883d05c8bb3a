"""The secrets of one pairing: ephemeral keys, the short code, the seal. The door to nacl for pairings.

The code is a short authentication string: one end commits to its offer by a hash before it sees the other's, so that
whoever stands between two boards has a single guess at it, however fast he computes (RFC 6189, 4.4.1 and 4.5.2; the
numeric comparison of Bluetooth Core 5.4, vol 3 part H 2.3.5.6.4). It has four digits of 1 to 6, which can be counted
when they are blinked: one guess in 1296.
"""

from __future__ import annotations

import hashlib
import secrets

from nacl import bindings
from nacl.exceptions import CryptoError
from nacl.exceptions import RuntimeError as SodiumError

from services.pairing.errors import TalkError

DIGITS, FACES = 4, 6
KEY_BYTES = 32
PURPOSE = "pairing"
"""What a node vouches for a key of."""


class Ephemeral:
    """A key pair of one pairing."""

    def __init__(self) -> None:
        self._secret = secrets.token_bytes(KEY_BYTES)
        self.public = bindings.crypto_scalarmult_base(self._secret)

    def agree(self, theirs: bytes, transcript: bytes) -> Agreed:
        """Raises TalkError for a key that gives no secret."""
        try:
            shared = bindings.crypto_scalarmult(self._secret, theirs)
        except (SodiumError, CryptoError, ValueError, TypeError):
            raise TalkError("the other board's key gives no secret") from None
        return Agreed(shared, transcript)


class Agreed:
    """What both ends of one connection, and nobody else, have in common."""

    def __init__(self, shared: bytes, transcript: bytes) -> None:
        self._shared, self._transcript = shared, transcript
        self.code = _digits(self._derive("code"))

    def seal(self, data: bytes, *, by_first: bool) -> bytes:
        """Each end seals under a key of its own; `by_first`: by the end that committed."""
        nonce = secrets.token_bytes(bindings.crypto_secretbox_NONCEBYTES)
        return nonce + bindings.crypto_secretbox(data, nonce, self._direction(by_first=by_first))

    def open(self, box: bytes, *, by_first: bool) -> bytes:
        """Raises TalkError."""
        size = bindings.crypto_secretbox_NONCEBYTES
        try:
            return bindings.crypto_secretbox_open(box[size:], box[:size], self._direction(by_first=by_first))
        except (CryptoError, ValueError):
            raise TalkError("a sealed message was not made by the board with the same code") from None

    def _direction(self, *, by_first: bool) -> bytes:
        return self._derive("first" if by_first else "second")

    def _derive(self, use: str) -> bytes:
        return hashlib.blake2b(
            self._transcript, digest_size=KEY_BYTES, key=self._shared, person=f"sky pair {use}".encode()
        ).digest()


def commit(offer: bytes) -> bytes:
    """To the line of an offer, which holds 32 random bytes."""
    return hashlib.blake2b(offer, digest_size=32, person=b"sky pair commit").digest()


def transcript(*lines: bytes) -> bytes:
    """All that was said in the open, each line with its length before it."""
    whole = hashlib.blake2b(digest_size=64, person=b"sky pair said")
    for line in lines:
        whole.update(len(line).to_bytes(4, "big") + line)
    return whole.digest()


def _digits(key: bytes) -> str:
    """Of 32 bytes the bias towards a digit is below 2^-240."""
    number = int.from_bytes(key, "big")
    return "".join(str(1 + number // FACES**place % FACES) for place in range(DIGITS))
