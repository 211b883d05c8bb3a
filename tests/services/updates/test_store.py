"""Bundles in a real NATS, and what is served of them: the right bytes of any range, to members, and to nobody else."""

from __future__ import annotations

import asyncio
import hashlib
import random
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from services.manager.bucket import open_chunks
from services.manager.engine import Engine
from services.manager.errors import BusError
from services.updates import server as serving
from services.updates.errors import BundleError, StateError
from services.updates.model import MAX_BUNDLE, PORT, Bundle
from services.updates.objects import BUCKET, CHUNK, STORE_BYTES, Meta, Objects, Upload
from services.updates.server import Server
from tests.services.manager.engine.rack import needs_server, new_address, running_engine
from tests.services.manager.program.ends import run

pytestmark = needs_server

SIZE = 3 * CHUNK + 777
NOISE = random.Random(7).randbytes(SIZE)


async def store(objects: Objects, data: bytes = NOISE, version: str = "1.0") -> Meta:
    upload = Upload()
    for start in range(0, len(data), CHUNK):
        await objects.add(upload, data[start : start + CHUNK])
    meta = upload.meta(version, "skywire")
    await objects.finish(meta)
    return meta


def test_an_object_store_as_nats_has_them(tmp_path: Path) -> None:
    """nats-py's own reader finds the whole, whose digest it checks."""

    async def test() -> None:
        async with running_engine(tmp_path) as (engine, _, _):
            objects = Objects(engine.bundles)
            meta = await store(objects)
            assert meta.name == hashlib.sha256(NOISE).hexdigest()
            assert await objects.find(meta.name) == meta
            assert meta.bundle == Bundle(meta.name, SIZE, "1.0", "skywire")
            theirs = await engine.bus.jetstream().object_store(BUCKET)
            assert (await theirs.get(meta.name)).data == NOISE
            for start, stop in ((0, 1), (CHUNK - 1, CHUNK + 1), (CHUNK, 2 * CHUNK), (SIZE - 8, SIZE), (5, SIZE)):
                assert await objects.read(meta, start, stop) == NOISE[start:stop]
            await check_sweeping(engine, objects, meta)

    run(test())


async def check_sweeping(engine: Engine, objects: Objects, meta: Meta) -> None:
    """The old, and the half of an upload, go; what is kept stays whole."""
    half, other = Upload(), await store(objects, NOISE[::-1])
    await objects.add(half, NOISE[:CHUNK])
    await objects.sweep({meta.name})
    assert await objects.names() == [meta.name]
    assert await objects.find(other.name) is None
    assert len(await engine.bundles.subjects(f"$O.{BUCKET}.C.*")) == 1
    with pytest.raises(BusError):
        await objects.read(other, 0, SIZE)
    assert await Objects(engine.bundles).read(meta, 0, SIZE) == NOISE
    again = await store(objects)
    assert (again.name, again.nuid != meta.nuid) == (meta.name, True)
    assert len(await engine.bundles.subjects(f"$O.{BUCKET}.C.*")) == 1


def test_uploads_that_are_refused(tmp_path: Path) -> None:
    async def test() -> None:
        async with running_engine(tmp_path) as (engine, _, _):
            objects, one, other = Objects(engine.bundles), Upload(), Upload()
            for wrong in (b"", bytes(CHUNK + 1)):
                with pytest.raises(BundleError, match="chunks of"):
                    await objects.add(one, wrong)
            await objects.add(one, bytes(CHUNK))
            await objects.add(other, bytes(100))
            with pytest.raises(BundleError, match="chunks of"):
                await objects.add(other, b"after the last")
            with pytest.raises(StateError, match="another manager"):
                await objects.add(one, bytes(CHUNK))

    run(test())


def test_no_more_than_the_store_holds(tmp_path: Path) -> None:
    """A stream that is full says so; nothing that is there is pushed out."""

    async def test() -> None:
        async with running_engine(tmp_path) as (engine, _, _):
            small = await open_chunks(engine.bus, "small", 2 * CHUNK, 1)
            await small.put("$O.small.C.a", bytes(CHUNK))
            with pytest.raises(BusError, match="maximum bytes"):
                await asyncio.wait_for(small.put("$O.small.C.a", bytes(CHUNK)), 5)
            assert await small.get(1) == ("$O.small.C.a", bytes(CHUNK))
            assert STORE_BYTES > 2 * MAX_BUNDLE

    run(test())


@asynccontextmanager
async def serving_bundles(folder: Path) -> AsyncIterator[tuple[Server, Meta, IPv4Address, Engine]]:
    """127.0.0.1 and 127.0.0.3 are members, 127.0.0.2 is not."""
    address = new_address()
    async with running_engine(folder) as (engine, _, _):
        objects = Objects(engine.bundles)
        meta = await store(objects)
        server = Server(objects, lambda: meta.bundle, lambda who: str(who) in {"127.0.0.1", "127.0.0.3"})
        await server.start(address, PORT)
        try:
            yield server, meta, address, engine
        finally:
            await server.stop()


async def ask(address: IPv4Address, *heads: str, source: str = "127.0.0.1") -> list[tuple[int, dict[str, str], bytes]]:
    """The answers on one connection, as far as it stays."""
    reader, writer = await asyncio.open_connection(str(address), PORT, local_addr=(source, 0))
    answers = []
    try:
        for head in heads:
            writer.write(head.encode() + b"\r\n\r\n")
            line, *fields = (await reader.readuntil(b"\r\n\r\n")).decode().strip().split("\r\n")
            known = {name.lower(): value for name, _, value in (field.partition(": ") for field in fields)}
            body = b"" if head.startswith("HEAD") else await reader.readexactly(int(known["content-length"]))
            answers.append((int(line.split()[1]), known, body))
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.transport.abort()
    return answers


def test_ranges_are_served(tmp_path: Path) -> None:
    async def test() -> None:
        async with serving_bundles(tmp_path) as (server, meta, address, _):
            place = f"/updates/{meta.name}.raucb HTTP/1.1\r\nHost: a"
            luck = random.Random(3)
            pairs = [sorted(luck.sample(range(SIZE), 2)) for _ in range(40)]
            heads = [f"GET {place}\r\nRange: bytes={start}-{stop}" for start, stop in pairs]
            answers = await ask(address, f"HEAD {place}", *heads, f"GET {place}")
            assert len(answers) == 42
            assert answers[0][1]["content-length"] == str(SIZE)
            for (start, stop), (code, fields, body) in zip(pairs, answers[1:], strict=False):
                assert (code, body) == (206, NOISE[start : stop + 1])
                assert fields["content-range"] == f"bytes {start}-{stop}/{SIZE}"
            assert answers[-1][2] == NOISE
            assert server.sent == SIZE + sum(stop - start + 1 for start, stop in pairs)
            (code, _, body), *_ = await ask(address, "GET /updates/current HTTP/1.1\r\nHost: a")
            assert (code, meta.name.encode() in body) == (200, True)

    run(test())


def test_what_is_not_served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def test() -> None:
        async with serving_bundles(tmp_path) as (_, meta, address, engine):
            place, host = f"/updates/{meta.name}.raucb", " HTTP/1.1\r\nHost: a"
            wrong = {
                f"GET /updates/{'0' * 64}.raucb{host}": 404,
                f"GET /updates/../seed{host}": 404,
                f"GET /{host}": 404,
                f"GET {place}{host}\r\nRange: bytes={SIZE}-": 416,
                f"POST {place}{host}": 405,
                "GET": 400,
                f"GET {place}{host}\r\nX: {'x' * 9000}": 431,
            }
            for head, code in wrong.items():
                answers = await ask(address, head, f"GET {place}{host}")
                assert [answer[0] for answer in answers] == [code], head[:60]
                assert answers[0][1]["connection"] == "close"
            (code, _, body), *_ = await ask(address, f"GET {place}{host}", source="127.0.0.2")
            assert (code, b"members" in body) == (403, True)
            monkeypatch.setattr(serving, "MAX_OF_ONE", 2)
            held = [await asyncio.open_connection(str(address), PORT, local_addr=("127.0.0.1", 0)) for _ in range(2)]
            await asyncio.sleep(0)
            assert (await ask(address, f"GET {place}{host}"))[0][0] == 503
            for _, writer in held:
                writer.transport.abort()
            await Objects(engine.bundles).sweep(set())

    run(test())


def test_who_asks_and_does_not_take_fills_no_ram(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One member's many connections hold its own share of pieces; another member is served meanwhile."""
    monkeypatch.setattr(serving, "PIECES_OF_ONE", 2)
    big = 24 * serving.PIECE

    async def test() -> None:
        async with serving_bundles(tmp_path) as (server, small, address, engine), asyncio.timeout(60):
            meta = await store(Objects(engine.bundles), NOISE * (big // SIZE + 1))
            head = f"GET /updates/{meta.name}.raucb HTTP/1.1\r\nHost: a\r\n\r\n".encode()
            held = [await open_narrow(address, head) for _ in range(6)]
            full = 2 * serving.PIECE
            await until(lambda: server.unsent == full and server.sent >= full)
            path = f"GET /updates/{small.name}.raucb HTTP/1.1\r\nHost: a"
            before = server.sent
            for _ in range(5):
                assert (await ask(address, path, source="127.0.0.3"))[0][2] == NOISE
            assert (server.unsent, server.sent) == (full, before + 5 * SIZE)
            for line in held:
                line.close()
            assert (await ask(address, path))[0][2] == NOISE
            await until(lambda: not server.unsent)

    run(test())


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not is_so():  # noqa: ASYNC110  # what the network took is no event
            await asyncio.sleep(0.01)


async def open_narrow(address: IPv4Address, said: bytes) -> socket.socket:
    """A connection that takes next to nothing."""
    line = socket.socket()
    line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    line.bind(("127.0.0.1", 0))
    line.setblocking(False)
    await asyncio.get_running_loop().sock_connect(line, (str(address), PORT))
    await asyncio.get_running_loop().sock_sendall(line, said)
    return line


def test_a_bundle_that_is_broken_in_the_store_is_cut_short(tmp_path: Path) -> None:
    """The length that was promised does not come: no board takes it for whole."""

    async def test() -> None:
        async with serving_bundles(tmp_path) as (_, meta, address, engine):
            stream = engine.bus.jetstream()
            await stream.delete_msg(f"OBJ_{BUCKET}", int(meta.metadata["first"]) + 2)
            host = f" HTTP/1.1\r\nHost: a\r\nRange: bytes={2 * CHUNK}-"
            assert await ask(address, f"GET /updates/{meta.name}.raucb{host}") == []

    run(test())
