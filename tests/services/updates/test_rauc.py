"""RAUC's own streaming client reads from our server: the program that RAUC starts for it (`RAUC_NBD_SERVER`), spoken to
as the kernel's nbd would. The kernel's part is missing here, not RAUC's.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import struct
import subprocess
from pathlib import Path

import pytest

from services.updates.model import PORT
from tests.services.manager.engine.rack import needs_server
from tests.services.manager.program.ends import run
from tests.services.updates.test_store import NOISE, SIZE, serving_bundles

RAUC = os.environ.get("RAUC", "")
"""Another program than this machine's, which may be built without streaming (Debian 12's is)."""


def has_streaming() -> bool:
    program = shutil.which("rauc")
    return bool(RAUC) or (program is not None and b"RAUC_NBD_SERVER" in Path(program).read_bytes())


pytestmark = [needs_server, pytest.mark.skipif(not has_streaming(), reason="needs a rauc that streams")]

REQUEST, REPLY = struct.Struct(">IIQQI"), struct.Struct(">IIQ")
REQUEST_MAGIC, REPLY_MAGIC = 0x25609513, 0x67446698
READ, DISCONNECT, CONFIGURE = 0, 2, 0x1000
START = f"import os, sys; os.dup2(int(sys.argv[1]), 3); os.execvp('{RAUC or 'rauc'}', ['rauc'])"


def configuration(url: str) -> bytes:
    """`{'url': <url>}` as GVariant (a{sv}), short enough for offsets of one byte."""
    entry = b"url\0" + bytes(4) + url.encode() + b"\0" + b"\0s" + bytes([4])
    return entry + bytes([len(entry)])


class Rauc:
    def __init__(self) -> None:
        self.end, theirs = socket.socketpair()
        self.end.settimeout(20)
        self.process = subprocess.Popen(
            [shutil.which("python3") or "python3", "-c", START, str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            env=os.environ | {"RAUC_NBD_SERVER": ""},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        theirs.close()

    def take(self, size: int) -> bytes:
        data = b""
        while len(data) < size and (more := self.end.recv(size - len(data))):
            data += more
        assert len(data) == size, "RAUC hung up"
        return data

    def configure(self, url: str) -> bytes:
        words = configuration(url)
        self.end.sendall(REQUEST.pack(REQUEST_MAGIC, CONFIGURE, 0, 0, len(words)) + words)
        self.take(REPLY.size)
        (size,) = struct.unpack("=I", self.take(4))
        return self.take(size)

    def ask(self, handle: int, start: int, size: int) -> None:
        self.end.sendall(REQUEST.pack(REQUEST_MAGIC, READ, handle, start, size))

    def answer(self, sizes: dict[int, int]) -> tuple[int, bytes]:
        magic, error, handle = REPLY.unpack(self.take(REPLY.size))
        assert (magic, error) == (REPLY_MAGIC, 0)
        return handle, self.take(sizes[handle])

    def close(self) -> None:
        self.end.close()
        self.process.kill()
        self.process.wait(20)


def read_all(url: str, piece: int = 20_000) -> tuple[bytes, bytes]:
    """What RAUC says of the place, and the whole, in reads that are all under way together, as the kernel's may be."""
    rauc = Rauc()
    try:
        told = rauc.configure(url)
        places = {start + 1: start for start in range(0, SIZE, piece)}
        sizes = {handle: min(piece, SIZE - start) for handle, start in places.items()}
        for handle, start in places.items():
            rauc.ask(handle, start, sizes[handle])
        found = dict(rauc.answer(sizes) for _ in places)
        return told, b"".join(found[handle] for handle in places)
    finally:
        rauc.close()


def test_rauc_streams_from_it(tmp_path: Path) -> None:
    async def test() -> None:
        async with serving_bundles(tmp_path) as (_, meta, address, _):
            url = f"http://{address}:{PORT}/updates/{meta.name}.raucb"
            told, whole = await asyncio.to_thread(read_all, url)
            assert url.encode() in told
            assert SIZE.to_bytes(8, "little") in told
            assert whole == NOISE
            boards = await asyncio.gather(*(asyncio.to_thread(read_all, url, 8192) for _ in range(3)))
            assert all(read == NOISE for _, read in boards)

    run(test())


def test_rauc_is_told_what_is_not_there(tmp_path: Path) -> None:
    async def test() -> None:
        async with serving_bundles(tmp_path) as (_, _, address, _):

            def ask() -> bytes:
                rauc = Rauc()
                try:
                    return rauc.configure(f"http://{address}:{PORT}/updates/{'0' * 64}.raucb")
                finally:
                    rauc.close()

            told = await asyncio.to_thread(ask)
            assert b"error" in told

    run(test())
