"""Bundles in the managers' object store, a stream of NATS JetStream as its object stores are (ADR-20): chunks at
`$O.updates.C.<nuid>`, what they are together at `$O.updates.M.<name>`. Any NATS tool can read it.

nats-py's own object store was rejected: it reads an object whole, and boards ask for ranges. Chunks are written one
after another by one manager, so a byte's chunk is known by counting from the first; where others wrote in between, the
upload is refused.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import secrets
from collections import OrderedDict

import msgspec

from services.manager.bucket import Chunks
from services.manager.errors import BusError
from services.updates.errors import BundleError, StateError
from services.updates.model import MAX_BUNDLE, Bundle

BUCKET = "updates"
CHUNK = 64 << 10
"""Bytes; in a message of the bus, which takes 96 KiB."""

STORE_BYTES = 2 * MAX_BUNDLE + (32 << 20)
"""The bundle in use and the one before, or the one that comes; the rest is what NATS adds to each chunk."""

CACHED = 24
"""Chunks, kept for the other boards of a wave."""


class Meta(msgspec.Struct, frozen=True):
    """As ADR-20 has it, with `metadata` of our own: what the manifest says, and the first chunk's place."""

    name: str
    bucket: str
    nuid: str
    size: int
    chunks: int
    digest: str
    mtime: str = ""
    options: dict[str, int] = {}
    metadata: dict[str, str] = {}

    @property
    def bundle(self) -> Bundle:
        sha256 = base64.urlsafe_b64decode(self.digest.removeprefix("SHA-256=")).hex()
        return Bundle(sha256, self.size, self.metadata["version"], self.metadata["compatible"])


class Upload:
    """A bundle that is coming in, chunk by chunk."""

    def __init__(self) -> None:
        self.nuid = secrets.token_hex(11)
        self.size = self.chunks = self.first = 0
        self.digest = hashlib.sha256()

    def meta(self, version: str = "", compatible: str = "") -> Meta:
        """Of what came so far."""
        digest = self.digest.digest()
        return Meta(
            name=digest.hex(),
            bucket=BUCKET,
            nuid=self.nuid,
            size=self.size,
            chunks=self.chunks,
            digest=f"SHA-256={base64.urlsafe_b64encode(digest).decode()}",
            options={"max_chunk_size": CHUNK},
            metadata={"version": version, "compatible": compatible, "first": str(self.first)},
        )


class Objects:
    """Every method raises BusError."""

    def __init__(self, stream: Chunks) -> None:
        self._stream = stream
        self._cache: OrderedDict[tuple[str, int], asyncio.Future[bytes]] = OrderedDict()

    # writing

    async def add(self, upload: Upload, data: bytes) -> None:
        """The next chunk; only the last may be shorter than CHUNK. Raises BundleError, StateError."""
        if upload.size % CHUNK or not 0 < len(data) <= CHUNK:
            raise BundleError(f"a bundle comes in chunks of {CHUNK} bytes")
        if upload.size + len(data) > MAX_BUNDLE:
            raise BundleError(f"a bundle of more than {MAX_BUNDLE >> 20} MiB has no room in a slot")
        place = await self._stream.put(_chunks(upload.nuid), data, once=f"{upload.nuid}-{upload.chunks}")
        upload.first = upload.first or place
        if place != upload.first + upload.chunks:
            raise StateError("another manager stores a bundle just now: start again when it is done")
        upload.digest.update(data)
        upload.size += len(data)
        upload.chunks += 1

    async def finish(self, meta: Meta) -> None:
        """From now on it is there, under its SHA-256."""
        old = await self.find(meta.name)
        await self._stream.put(_meta(meta.name), msgspec.json.encode(meta), rollup=True)
        if old is not None and old.nuid != meta.nuid:
            await self._stream.purge(_chunks(old.nuid))

    async def drop(self, upload: Upload) -> None:
        """What came of it so far."""
        if upload.chunks:
            await self._stream.purge(_chunks(upload.nuid))

    async def remove(self, name: str) -> None:
        """It is no error that there is none."""
        meta = await self.find(name)
        if meta is not None:
            await self._stream.purge(_meta(name))
            await self._stream.purge(_chunks(meta.nuid))

    # reading

    async def names(self) -> list[str]:
        found = await self._stream.subjects(f"$O.{BUCKET}.M.*")
        return [base64.urlsafe_b64decode(subject.rpartition(".")[2]).decode() for subject in found]

    async def find(self, name: str) -> Meta | None:
        """By its SHA-256."""
        data = await self._stream.last(_meta(name))
        return msgspec.json.decode(data, type=Meta) if data else None

    async def sweep(self, keep: set[str]) -> None:
        """Everything but these: other bundles, and what an upload left that did not end."""
        metas = [meta for name in await self.names() if (meta := await self.find(name)) is not None]
        nuids = {meta.nuid for meta in metas if meta.name in keep}
        for meta in metas:
            if meta.name not in keep:
                await self._stream.purge(_meta(meta.name))
        for subject in await self._stream.subjects(f"$O.{BUCKET}.C.*"):
            if subject.rpartition(".")[2] not in nuids:
                await self._stream.purge(subject)

    async def read(self, meta: Meta, start: int, stop: int) -> bytes:
        """Bytes of at most some chunks: callers ask for a piece at a time."""
        first, last = start // CHUNK, (stop - 1) // CHUNK
        found = await asyncio.gather(*(self._chunk(meta, number) for number in range(first, last + 1)))
        return b"".join(found)[start - first * CHUNK : stop - first * CHUNK]

    async def _chunk(self, meta: Meta, number: int) -> bytes:
        key = meta.nuid, number
        waiting = self._cache.get(key)
        if waiting is None:
            waiting = self._cache[key] = asyncio.ensure_future(self._fetch(meta, number))
            waiting.add_done_callback(_look_at)
            while len(self._cache) > CACHED:
                self._cache.popitem(last=False)
        else:
            self._cache.move_to_end(key)
        try:
            return await asyncio.shield(waiting)
        except BusError:
            self._cache.pop(key, None)
            raise

    async def _fetch(self, meta: Meta, number: int) -> bytes:
        subject, data = await self._stream.get(int(meta.metadata["first"]) + number)
        wanted = min(CHUNK, meta.size - number * CHUNK)
        if subject != _chunks(meta.nuid) or len(data) != wanted:
            raise BusError(f"chunk {number} of bundle '{meta.name[:12]}' is not there (start the update again)")
        return data


def _look_at(fetched: asyncio.Future[bytes]) -> None:
    """Whoever waited may be gone; the error is theirs."""
    if not fetched.cancelled():
        fetched.exception()


def _chunks(nuid: str) -> str:
    return f"$O.{BUCKET}.C.{nuid}"


def _meta(name: str) -> str:
    return f"$O.{BUCKET}.M.{base64.urlsafe_b64encode(name.encode()).decode()}"
