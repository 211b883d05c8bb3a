"""What a RAUC bundle says of itself, read from its last bytes. Pure, and no proof: only RAUC on each board checks the
signature, against the key of its own image; what is read here tells people and the plan which version it is.

    squashfs | dm-verity hash tree | CMS SignedData (DER) holding the manifest | its size, 8 bytes big-endian

That is the `verity` format, the one that can be streamed; a `plain` bundle's signature holds no manifest. Sources:
RFC 5652 (CMS), X.690 (DER), the RAUC manual's chapter on bundle formats.
"""

from __future__ import annotations

import configparser

from services.updates.errors import BundleError

MAGIC = b"hsqs"
SIZE_BYTES = 8
MAX_SIGNATURE = 64 << 10
_SEQUENCE, _OID, _OCTETS, _INSIDE = 0x30, 0x06, 0x04, 0xA0
_SIGNED_DATA = bytes.fromhex("2a864886f70d010702")


def signature_size(head: bytes, tail: bytes, size: int) -> int:
    """Bytes of the CMS structure before the last eight; `head` and `tail` are the file's. Raises BundleError."""
    if not head.startswith(MAGIC):
        raise BundleError("this is no RAUC bundle: it does not begin as squashfs does (expected a file '.raucb')")
    length = int.from_bytes(tail[-SIZE_BYTES:], "big")
    if len(tail) < SIZE_BYTES or not 0 < length <= min(MAX_SIGNATURE, size - SIZE_BYTES):
        raise BundleError("this is no signed RAUC bundle, or not all of it: no signature at its end")
    return length


def read_manifest(signature: bytes) -> tuple[str, str]:
    """Version and `compatible`. Raises BundleError."""
    manifest = configparser.ConfigParser(interpolation=None, strict=True)
    try:
        manifest.read_string(_content(signature).decode())
        update = manifest["update"]
        found = update["version"], update["compatible"]
        way = manifest.get("bundle", "format", fallback="plain")
    except (configparser.Error, UnicodeDecodeError, KeyError) as error:
        raise BundleError(f"the bundle's manifest cannot be read: {type(error).__name__}") from None
    if way not in {"verity", "crypt"}:
        raise BundleError(f"the bundle's format is '{way[:20]}': boards stream 'verity' ones alone")
    for text in found:
        if not text or len(text) > 120 or not text.isprintable():
            raise BundleError(f"the bundle's manifest says {text[:40]!a}: expected a short text")
    return found


def _content(signature: bytes) -> bytes:
    """The eContent of a SignedData."""
    _, info, _ = _take(signature, _SEQUENCE)
    _, kind, rest = _take(info, _OID)
    if kind != _SIGNED_DATA:
        raise BundleError("the bundle's signature is of another kind than CMS SignedData")
    _, wrapped, _ = _take(rest, _INSIDE)
    _, signed, _ = _take(wrapped, _SEQUENCE)
    rest = signed
    for _ in range(2):  # version, digest algorithms
        _, _, rest = _take(rest)
    _, inner, _ = _take(rest, _SEQUENCE)
    _, _, rest = _take(inner, _OID)
    if not rest:
        raise BundleError("the bundle's format is 'plain': boards stream 'verity' ones alone")
    _, octets, _ = _take(rest, _INSIDE)
    return _take(octets, _OCTETS)[1]


def _take(data: bytes, wanted: int | None = None) -> tuple[int, bytes, bytes]:
    """Tag, value and what follows it. Definite lengths of up to four bytes, as DER has them."""
    if len(data) < 2 or (wanted is not None and data[0] != wanted):
        raise BundleError("the bundle's signature is not CMS as RAUC writes it")
    length, begin = data[1], 2
    if length & 0x80:
        count = length & 0x7F
        length, begin = int.from_bytes(data[2 : 2 + count], "big"), 2 + count
        if not 1 <= count <= 4:
            raise BundleError("the bundle's signature is not CMS as RAUC writes it")
    if begin + length > len(data):
        raise BundleError("the bundle's signature is cut")
    return data[0], data[begin : begin + length], data[begin + length :]
