"""Buckets and streams of the bus, for managers: nats-py's words in, ours out. The other half of that door."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import NamedTuple, TypeVar

import nats.errors
import nats.js.errors
from nats.aio.msg import Msg
from nats.js import api
from nats.js.kv import KeyValue

from services.manager.bus import Bus, Entry
from services.manager.errors import BusError, ConflictError
from services.manager.on_disk import OnDisk

T = TypeVar("T")

STEP_WITHIN_S = 5.0
"""To the next key of a list. A consumer whose server died says nothing more: the list is asked for again."""

OPEN_WITHIN_S = 60.0
GO_ON_WITHIN_S = 30.0
"""What may be asked twice is, for so long: when a server dies, its streams choose another leader first, which takes 4
to 9 s, and may have to be done twice.
"""

AGAIN_S = 0.25

WATCH_ENDS_AFTER_S = 300.0
"""On the server, after whoever watched has gone without a word."""

_Change = tuple[str, Entry | None]

_GONE = {"KV-Operation", "Nats-Marker-Reason"}
"""The headers of a mark: deleted by somebody, or (since nats-server 2.11) by age."""

_FORMING = {10005, 10008}
"""What a cluster says that has not found itself yet: no suitable peers, temporarily unavailable."""

_NOT_STORED = 10077
"""With "maximum bytes exceeded" where a stream is full."""


class Shape(NamedTuple):
    """`leased_s`: how long a value stays unless it is put again; None is for ever. `decided`: by a person, so it is on
    the disk before that is said.
    """

    name: str
    in_memory: bool
    max_bytes: int
    leased_s: float | None = None
    decided: bool = False


class Bucket:
    """Keys and values, the same on every server. Every method raises BusError."""

    def __init__(self, bus: Bus, values: KeyValue, name: str, on_disk: OnDisk | None = None) -> None:
        self._bus = bus
        self._values = values
        self._on_disk = on_disk
        self.name = name

    async def get(self, key: str) -> Entry | None:
        try:
            found = await patiently(lambda: self._values.get(key), f"get '{key}' from '{self.name}'")
        except _MissingError:
            return None
        return Entry(found.value or b"", found.revision or 0)

    async def put(self, key: str, value: bytes) -> int:
        put = await patiently(lambda: self._values.put(key, value), f"put '{key}' into '{self.name}'")
        return await self._kept(put)

    async def create(self, key: str, value: bytes) -> int:
        """Raises ConflictError where there is one."""
        return await self._kept(await _told(self._values.create(key, value), f"create '{key}' in '{self.name}'"))

    async def update(self, key: str, value: bytes, revision: int) -> int:
        """Raises ConflictError unless that is still its revision."""
        updated = _told(self._values.update(key, value, last=revision), f"update '{key}' in '{self.name}'")
        return await self._kept(await updated)

    async def delete(self, key: str) -> None:
        """Leaves a mark, which followers are told and `tidy` removes."""
        await patiently(lambda: self._values.purge(key), f"delete '{key}' from '{self.name}'")
        await self._kept(0)

    async def _kept(self, revision: int) -> int:
        if self._on_disk is not None:
            await self._on_disk.sync(f"KV_{self.name}")
        return revision

    async def tidy(self) -> None:
        """Removes marks older than half an hour."""
        await _told(self._values.purge_deletes(), f"tidy '{self.name}'")

    async def all(self, below: str = ">") -> dict[str, Entry]:
        """Every key that matches."""
        what = f"list '{below}' of '{self.name}'"
        return await patiently(lambda: self._all(below, what), what)

    async def _all(self, below: str, what: str) -> dict[str, Entry]:
        found: dict[str, Entry] = {}
        async with self._watch(below, what) as changes:
            while True:
                try:
                    async with asyncio.timeout(STEP_WITHIN_S):
                        change = await changes.get()
                except TimeoutError:
                    raise BusError(f"cannot {what}: no end of it within {STEP_WITHIN_S:g} s") from None
                if change is None:
                    return found
                key, entry = change
                if entry is not None:
                    found[key] = entry

    async def follow(
        self, below: str = ">", listed: Callable[[], None] | None = None
    ) -> AsyncIterator[tuple[str, Entry | None]]:
        """What is there, then every change: None is a key that was deleted. A lease that ran out is not told.

        `listed` is called once, after what is there.
        """
        async with self._watch(below, f"follow '{below}' of '{self.name}'") as changes:
            while True:
                change = await changes.get()
                if change is not None:
                    yield change
                elif listed is not None:
                    listed()

    @asynccontextmanager
    async def _watch(self, below: str, what: str) -> AsyncIterator[asyncio.Queue[_Change | None]]:
        """What is there, one None, then what comes.

        Not nats-py's own watch (2.16): that one takes a bucket for empty whose values the server has sent already, but
        of which none was handled yet when the consumer is asked how many are to come.
        """
        changes: asyncio.Queue[_Change | None] = asyncio.Queue()
        prefix, listing = f"$KV.{self.name}.", True

        async def each(message: Msg) -> None:
            nonlocal listing
            metadata = message.metadata
            gone = not _GONE.isdisjoint(message.headers or ())
            entry = None if gone else Entry(message.data, metadata.sequence.stream)
            changes.put_nowait((message.subject.removeprefix(prefix), entry))
            if listing and metadata.num_pending == 0:
                listing = False
                changes.put_nowait(None)

        subscribed = self._bus.jetstream().subscribe(
            prefix + below,
            stream=f"KV_{self.name}",
            cb=each,
            ordered_consumer=True,
            deliver_policy=api.DeliverPolicy.LAST_PER_SUBJECT,
            inactive_threshold=WATCH_ENDS_AFTER_S,
        )
        subscription = await _told(subscribed, what)
        try:
            info = await _told(subscription.consumer_info(), what)
            if listing and not info.num_pending and not (info.delivered and info.delivered.consumer_seq):
                listing = False
                changes.put_nowait(None)
            yield changes
        finally:
            await _told(subscription.unsubscribe(), what)


class Log:
    """A stream that only grows."""

    def __init__(self, bus: Bus, name: str, on_disk: OnDisk | None = None) -> None:
        self._stream = bus.jetstream()
        self._on_disk = on_disk
        self.name = name

    async def append(self, subject: str, value: bytes, once: str) -> int:
        """Its place. The same `once` within two minutes is one entry."""
        subject, headers = f"{self.name}.{subject}", {"Nats-Msg-Id": once}
        ack = await patiently(lambda: self._stream.publish(subject, value, headers=headers), f"append to '{self.name}'")
        if self._on_disk is not None:
            await self._on_disk.sync(self.name)
        return ack.seq

    async def read(self, place: int) -> Entry | None:
        try:
            found = await _told(self._stream.get_msg(self.name, seq=place), f"read {place} of '{self.name}'")
        except _MissingError:
            return None
        return Entry(found.data or b"", place)


class Chunks:
    """The stream of an object store: large values in pieces, each at its place. Every method raises BusError."""

    def __init__(self, bus: Bus, name: str) -> None:
        self._bus = bus
        self._stream = f"OBJ_{name}"

    async def put(self, subject: str, data: bytes, once: str = "", *, rollup: bool = False) -> int:
        """Its place. The same `once` within two minutes is one piece; `rollup`: it is the only one of that subject."""
        headers = {**({"Nats-Msg-Id": once} if once else {}), **({"Nats-Rollup": "sub"} if rollup else {})}
        js = self._bus.jetstream()
        ack = await patiently(lambda: js.publish(subject, data, headers=headers or None), f"put into '{self._stream}'")
        return ack.seq

    async def get(self, place: int) -> tuple[str, bytes]:
        """Its subject and what it holds, from whichever server answers."""
        what = f"read {place} of '{self._stream}'"
        js = self._bus.jetstream()
        found = await patiently(lambda: js.get_msg(self._stream, seq=place, direct=True), what)
        return found.subject or "", found.data or b""

    async def last(self, subject: str) -> bytes | None:
        what, js = f"read '{subject}'", self._bus.jetstream()
        try:
            found = await patiently(lambda: js.get_last_msg(self._stream, subject), what)
        except _MissingError:
            return None
        return found.data or b""

    async def subjects(self, below: str) -> list[str]:
        what, js = f"list '{below}'", self._bus.jetstream()
        info = await patiently(lambda: js.stream_info(self._stream, subjects_filter=below), what)
        return sorted(info.state.subjects or ())

    async def purge(self, subject: str) -> None:
        what, js = f"empty '{subject}'", self._bus.jetstream()
        await patiently(lambda: js.purge_stream(self._stream, subject=subject), what)


async def open_chunks(bus: Bus, name: str, max_bytes: int, replicas: int) -> Chunks:
    """As NATS's own object stores are made (ADR-20). On disk."""
    config = api.StreamConfig(
        name=f"OBJ_{name}",
        subjects=[f"$O.{name}.C.>", f"$O.{name}.M.>"],
        storage=api.StorageType.FILE,
        num_replicas=replicas,
        max_bytes=max_bytes,
        discard=api.DiscardPolicy.NEW,
        duplicate_window=120,
        allow_rollup_hdrs=True,
        allow_direct=True,
    )
    await _opened(lambda: bus.jetstream().add_stream(config), f"open object store '{name}'")
    return Chunks(bus, name)


async def open_bucket(bus: Bus, shape: Shape, replicas: int, on_disk: OnDisk | None = None) -> Bucket:
    """Made where it is missing; a cluster that has no leader yet is waited for."""
    config = api.KeyValueConfig(
        bucket=shape.name,
        ttl=shape.leased_s,
        max_bytes=shape.max_bytes,
        storage=api.StorageType.MEMORY if shape.in_memory else api.StorageType.FILE,
        replicas=replicas,
        direct=True,
    )
    what = f"open bucket '{shape.name}'"
    await _opened(lambda: bus.jetstream().create_key_value(config), what)
    # Managers ask a stream's leader: any other server may not have yet what was just put. Nodes may (see `bus`).
    values = KeyValue(shape.name, f"KV_{shape.name}", f"$KV.{shape.name}.", bus.jetstream(), direct=False)
    return Bucket(bus, values, shape.name, on_disk if shape.decided else None)


async def open_log(bus: Bus, name: str, max_bytes: int, replicas: int, on_disk: OnDisk | None = None) -> Log:
    config = api.StreamConfig(
        name=name,
        subjects=[f"{name}.>"],
        storage=api.StorageType.FILE,
        num_replicas=replicas,
        max_bytes=max_bytes,
        discard=api.DiscardPolicy.NEW,
        duplicate_window=120,
        deny_delete=True,
        deny_purge=True,
    )
    await _opened(lambda: bus.jetstream().add_stream(config), f"open stream '{name}'")
    return Log(bus, name, on_disk)


async def _opened(make: Callable[[], Awaitable[object]], what: str) -> None:
    """In a cluster that forms, one that another manager makes just now is taken and missing at once."""

    async def told() -> None:
        try:
            await make()
        except nats.js.errors.NotFoundError as error:
            raise nats.errors.Error(f"{error}") from None

    await patiently(told, what, OPEN_WITHIN_S)


class _MissingError(BusError):
    """There is no such key or place."""


async def patiently(make: Callable[[], Awaitable[T]], what: str, within_s: float = GO_ON_WITHIN_S) -> T:
    """Asks again while nobody answers: for what may be done twice. Raises BusError."""
    clock = asyncio.get_running_loop().time
    give_up = clock() + within_s
    while True:
        try:
            return await _told(make(), what)
        except (_MissingError, ConflictError, _RefusedError):
            raise
        except BusError:
            if clock() + AGAIN_S > give_up:
                raise
        await asyncio.sleep(AGAIN_S)


class _RefusedError(BusError):
    """Asked wrongly, or full: asking again does not help."""


async def _told(asked: Awaitable[T], what: str) -> T:
    """nats-py's errors as ours."""
    try:
        return await asked
    except nats.js.errors.KeyWrongLastSequenceError:
        raise ConflictError(f"cannot {what}: somebody else changed it first") from None
    except nats.js.errors.NotFoundError:
        raise _MissingError(f"cannot {what}: there is none") from None
    except (nats.js.errors.BadRequestError, nats.js.errors.InvalidKeyError) as error:
        kind = BusError if getattr(error, "err_code", 0) in _FORMING else _RefusedError
        raise kind(f"cannot {what}: {error}") from None
    except (nats.errors.Error, OSError, TimeoutError, asyncio.InvalidStateError) as error:
        if getattr(error, "err_code", 0) == _NOT_STORED and "maximum" in str(error):
            raise _RefusedError(f"cannot {what}: it is full ({error})") from None
        raise BusError(f"cannot {what}: {error or 'no answer in time'}") from None
