"""The library libnftables in this process: commands as text or JSON in, listings in JSON out. The `nft` program costs a
process for each change, many times the price of adding a label; the library's Python module is Debian's alone and no
more than the few calls bound here. The library lets the interpreter's lock go, so a long listing delays no other
thread. It has no time-out: what it asks is answered by the kernel at once.

Tables, sets and what they mean belong to whoever calls. An opened library belongs to its network namespace.
"""

from __future__ import annotations

import ctypes
from typing import Any

import msgspec

from services.kernel.errors import AbsentError, DoorError

LIBRARY = "libnftables.so.1"
JSON_OUTPUT = 1 << 4


class Named(msgspec.Struct):
    name: str = ""
    table: str = ""
    family: str = ""
    packets: int = 0
    bytes: int = 0


class Set(msgspec.Struct):
    name: str
    table: str = ""
    elem: list[Any] = []


class Object(msgspec.Struct):
    """One object of a listing: whichever of these it is."""

    table: Named | None = None
    set: Set | None = None
    map: Set | None = None
    chain: Named | None = None
    counter: Named | None = None


class _Listing(msgspec.Struct):
    nftables: list[Object]


_listing = msgspec.json.Decoder(_Listing)


class Library:
    """Raises AbsentError where there is no such thing, DoorError for whatever else the kernel refuses."""

    def __init__(self) -> None:
        self._library = _bind()
        self._context = self._library.nft_ctx_new(0)
        if not self._context:
            raise DoorError("cannot open nftables: run as root, with nf_tables in the kernel")
        self._library.nft_ctx_buffer_output(self._context)
        self._library.nft_ctx_buffer_error(self._context)
        self._library.nft_ctx_output_set_flags(self._context, JSON_OUTPUT)

    def close(self) -> None:
        if self._context:
            self._library.nft_ctx_free(self._context)
            self._context = None

    def run(self, command: str) -> bytes:
        """One transaction: all of it happens or nothing."""
        failed = self._library.nft_run_cmd_from_buffer(self._context, command.encode())
        output: bytes = self._library.nft_ctx_get_output_buffer(self._context)
        error: bytes = self._library.nft_ctx_get_error_buffer(self._context)
        if failed:
            reason = error.decode(errors="replace").strip().partition("\n")[0]
            raise (AbsentError if "No such file" in reason else DoorError)(f"nftables refused: {reason}")
        return output

    def list(self, what: str) -> list[Object]:
        """What `nft list …` shows."""
        return _listing.decode(self.run(f"list {what}")).nftables


def _bind() -> ctypes.CDLL:
    try:
        library = ctypes.CDLL(LIBRARY)
    except OSError as error:
        raise DoorError(f"cannot load '{LIBRARY}': install the package libnftables1") from error
    pointer, text = ctypes.c_void_p, ctypes.c_char_p
    library.nft_ctx_new.restype, library.nft_ctx_new.argtypes = pointer, [ctypes.c_uint32]
    library.nft_ctx_free.restype, library.nft_ctx_free.argtypes = None, [pointer]
    for name in ("nft_ctx_buffer_output", "nft_ctx_buffer_error"):
        getattr(library, name).argtypes = [pointer]
    for name in ("nft_ctx_get_output_buffer", "nft_ctx_get_error_buffer"):
        getattr(library, name).restype, getattr(library, name).argtypes = text, [pointer]
    library.nft_ctx_output_set_flags.restype = None
    library.nft_ctx_output_set_flags.argtypes = [pointer, ctypes.c_uint]
    library.nft_run_cmd_from_buffer.argtypes = [pointer, text]
    return library
