"""The first message of a WireGuard handshake, with any time in it: a board whose clock is wrong, without turning the
clock of this machine.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import socket
import struct
import sys
from base64 import b64decode

from nacl import bindings

NAME = b"Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s"
IDENTIFIER = b"WireGuard v1 zx2c4 Jason@zx2c4.com"
RESPONSE, RESPONSE_BYTES = 2, 92
ANSWER_WITHIN_S = 1.0


def initiation(private: bytes, public: bytes, time_s: int) -> bytes:
    """From who has the private key to who has the public one."""
    ephemeral = secrets.token_bytes(32)
    chain = _hash(NAME)
    sum_ = _hash(_hash(chain + IDENTIFIER) + public)
    opened = bindings.crypto_scalarmult_base(ephemeral)
    chain, sum_ = _derive(chain, opened)[0], _hash(sum_ + opened)
    chain, key = _derive(chain, bindings.crypto_scalarmult(ephemeral, public))
    who = _seal(key, bindings.crypto_scalarmult_base(private), sum_)
    sum_ = _hash(sum_ + who)
    chain, key = _derive(chain, bindings.crypto_scalarmult(private, public))
    when = _seal(key, struct.pack(">QI", 0x400000000000000A + time_s, 0), sum_)
    message = struct.pack("<II", 1, secrets.randbits(32)) + opened + who + when
    mac_key = _hash(b"mac1----" + public)
    return message + hashlib.blake2s(message, key=mac_key, digest_size=16).digest() + bytes(16)


def is_answered(host: str, port: int, private: bytes, public: bytes, time_s: int) -> bool:
    """Whether WireGuard there takes a handshake of that time."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as end:
        end.settimeout(ANSWER_WITHIN_S)
        end.sendto(initiation(private, public, time_s), (host, port))
        try:
            answer = end.recv(256)
        except TimeoutError:
            return False
    return len(answer) == RESPONSE_BYTES and answer[0] == RESPONSE


def _hash(data: bytes) -> bytes:
    return hashlib.blake2s(data).digest()


def _derive(chain: bytes, secret: bytes) -> tuple[bytes, bytes]:
    first = hmac.digest(chain, secret, "blake2s")
    one = hmac.digest(first, b"\1", "blake2s")
    return one, hmac.digest(first, one + b"\2", "blake2s")


def _seal(key: bytes, text: bytes, more: bytes) -> bytes:
    return bindings.crypto_aead_chacha20poly1305_ietf_encrypt(text, more, bytes(12), key)


if __name__ == "__main__":
    place, number, own, other, seconds = sys.argv[1:]
    sys.exit(0 if is_answered(place, int(number), b64decode(own), b64decode(other), int(seconds)) else 1)
