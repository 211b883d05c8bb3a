"""What `update --all` costs the manager's board: a bundle into the object store, and out of it by ranges as RAUC asks
for them, beside Python's own file server, which needs the bundle as a file on every manager.
"""

from __future__ import annotations

import asyncio
import http.client
import os
import random
import tempfile
import time
from pathlib import Path
from urllib.parse import urlsplit

from services.updates.model import PORT
from services.updates.objects import CHUNK, Objects, Upload
from services.updates.server import Server
from tests.benches.figures import Figure
from tests.boot.bundle_server import BundleServer
from tests.services.manager.engine.rack import new_address, running_engine

SIZE = 100_000_000
PIECE = 128 << 10
WHERE = f"{SIZE // 1_000_000} MB on this machine, one reader"


def bench() -> list[Figure]:
    """Under ten seconds; needs nats-server."""
    data = random.Random(1).randbytes(SIZE)
    with tempfile.TemporaryDirectory(prefix="skywire-bench-") as folder:
        ours, cost = asyncio.run(_measure(Path(folder), data))
        file = Path(folder, "bundle")
        file.write_bytes(data)
        with BundleServer(file) as peer:
            place = urlsplit(peer.url)
            assert place.port is not None
            theirs_s = _read("127.0.0.1", place.port, place.path)
    stored_s, read_s, memory_mb = ours
    return [
        Figure(f"update --all: {WHERE}, into the object store", "≥ 5 MB/s", SIZE / 1e6 / stored_s, "MB/s"),
        Figure(
            f"update --all: {WHERE}, ranges of {PIECE >> 10} KiB from it",
            "≥ 12 MB/s",  # a 100 Mbit/s switch is full
            SIZE / 1e6 / read_s,
            "MB/s",
            f"Python's http.server, from a file: {SIZE / 1e6 / theirs_s:.0f} MB/s",
        ),
        Figure("update --all: CPU of manager and NATS per GB served", "≤ 20 s", cost * 1e9 / SIZE, "s"),
        Figure("update --all: NATS, RSS after it", "≤ 48 MB", memory_mb, "MB"),
    ]


async def _measure(folder: Path, data: bytes) -> tuple[tuple[float, float, float], float]:
    """Seconds to store and to read, NATS's megabytes; and CPU seconds of the reading."""
    async with running_engine(folder) as (engine, _, _):
        objects, upload, server_pid = Objects(engine.bundles), Upload(), engine.server.pid
        assert server_pid is not None
        begin = time.monotonic()
        for start in range(0, SIZE, CHUNK):
            await objects.add(upload, data[start : start + CHUNK])
        meta = upload.meta("1", "skywire")
        await objects.finish(meta)
        stored_s, at = time.monotonic() - begin, new_address()
        server = Server(objects, lambda: None, lambda _: True)
        await server.start(at, PORT)
        before = _cpu(server_pid), time.thread_time()
        read_s = await asyncio.to_thread(_read, str(at), PORT, f"/updates/{meta.name}.raucb")
        cost = _cpu(server_pid) - before[0] + time.thread_time() - before[1]
        await server.stop()
        return (stored_s, read_s, _resident_mb(server_pid)), cost


def _read(host: str, port: int, path: str) -> float:
    """Seconds, by ranges over one connection, in a thread of its own."""
    line = http.client.HTTPConnection(host, port, timeout=60)
    begin = time.monotonic()
    for start in range(0, SIZE, PIECE):
        line.request("GET", path, headers={"Range": f"bytes={start}-{min(start + PIECE, SIZE) - 1}"})
        line.getresponse().read()
    line.close()
    return time.monotonic() - begin


def _cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _resident_mb(pid: int) -> float:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6
