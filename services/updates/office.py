"""What a person asks of updates over the manager's socket: a bundle comes in, a roll-out begins, is looked at and
steered. Puts together the object store, what boards fetch from, and the roll-out.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from contextlib import AsyncExitStack
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

import msgspec

from services.addresses import session_address
from services.app.presence import Presence
from services.keys import NodeId
from services.manager.errors import BusError
from services.manager.registry import Registry
from services.node.api_words import CLUSTER, Publish
from services.updates import bundle as bundles
from services.updates.api_words import GetUpdate, PutChunk, StartUpdate, SteerUpdate, Took
from services.updates.errors import BundleError, StateError
from services.updates.model import MAX_BUNDLE, PORT, SERVICE, Bundle
from services.updates.objects import CHUNK, Meta, Objects, Upload
from services.updates.rollout import Rollouts, check_idle
from services.updates.server import Server

KEPT_FREE = 256 << 20
"""Bytes of the card that bundles leave to others."""

Address = IPv4Address | IPv6Address
Request = PutChunk | StartUpdate | GetUpdate | SteerUpdate


class Updates:
    """`folder` is where the bus keeps its store; `at` where boards fetch."""

    def __init__(
        self, me: NodeId, objects: Objects, rollouts: Rollouts, registry: Registry, folder: Path, at: Address
    ) -> None:
        self._me, self._objects, self.rollouts = me, objects, rollouts
        self._registry, self._folder, self._at = registry, folder, at
        self.server = Server(objects, self._current, self._is_member)
        self._upload: Upload | None = None
        self._turn = asyncio.Lock()
        self._undo = AsyncExitStack()

    async def start(self, node: Path | None) -> None:
        """`node`: the socket of the node beside, which opens the port to members; None where there is no mesh. Raises
        EngineError, BusError.
        """
        await self.rollouts.start()
        self._undo.push_async_callback(self.rollouts.stop)
        await self.server.start(self._at, PORT)
        self._undo.push_async_callback(self.server.stop)
        if node is not None:
            offered = Publish(SERVICE, PORT, (f"{CLUSTER}{self._me}",))
            await self._undo.enter_async_context(Presence(offered, node))

    async def stop(self) -> None:
        await self._undo.aclose()

    async def handle(self, request: Request) -> msgspec.Struct:
        """Raises ManagerError."""
        match request:
            case PutChunk(data, upload):
                async with self._turn:
                    return await self._put(upload, data)
            case StartUpdate():
                async with self._turn:
                    await self.rollouts.begin(await self._bundle(request.upload), request)
            case SteerUpdate(act):
                await self.rollouts.steer(act)
            case GetUpdate():
                pass
        return self.rollouts.view()

    def _current(self) -> Bundle | None:
        return self.rollouts.current.bundle if self.rollouts.current is not None else None

    def _is_member(self, who: Address) -> bool:
        if who == self._at:
            return True
        return any(session_address(node_id) == who for node_id in self._registry.nodes)

    # a bundle comes in

    async def _put(self, name: str, data: bytes) -> Took:
        if not name:
            await self._begin()
        if self._upload is None or (name and name != self._upload.nuid):
            raise StateError("that upload is over, or another began (start again)")
        try:
            await self._objects.add(self._upload, data)
        except (BundleError, StateError):
            await self._drop()
            raise
        return Took(self._upload.nuid, self._upload.size)

    async def _begin(self) -> None:
        """There is room: of all bundles the one that was rolled out last stays."""
        check_idle(self.rollouts.current)
        self._upload = None
        current = self._current()
        await self._objects.sweep({current.sha256} if current is not None else set())
        room = await asyncio.to_thread(os.statvfs, self._folder)
        free = room.f_bavail * room.f_frsize
        if free < MAX_BUNDLE + KEPT_FREE:
            raise StateError(
                f"{free >> 20} MiB are free at '{self._folder}': a bundle needs {MAX_BUNDLE + KEPT_FREE >> 20}"
            )
        self._upload = Upload()

    async def _bundle(self, name: str) -> Bundle:
        """What was uploaded, or what is there already. Raises StateError, BundleError, BusError."""
        if not name:
            return await self._kept()
        upload = self._upload
        if upload is None or name != upload.nuid:
            raise StateError("that upload is over, or another began (start again)")
        try:
            version, compatible = await self._read_manifest(upload.meta())
        except BundleError:
            await self._drop()
            raise
        meta = upload.meta(version, compatible)
        await self._objects.finish(meta)
        await asyncio.to_thread(os.sync)  # JetStream does so every two minutes
        self._upload = None
        return meta.bundle

    async def _kept(self) -> Bundle:
        bundle = self._current()
        if bundle is None or await self._objects.find(bundle.sha256) is None:
            raise StateError("no bundle is kept here: name a file (manager update start FILE)")
        return bundle

    async def _read_manifest(self, meta: Meta) -> tuple[str, str]:
        head = await self._objects.read(meta, 0, min(meta.size, CHUNK))
        tail = await self._objects.read(meta, max(0, meta.size - bundles.SIZE_BYTES), meta.size)
        length = bundles.signature_size(head[:16], tail, meta.size)
        end = meta.size - bundles.SIZE_BYTES
        return bundles.read_manifest(await self._objects.read(meta, end - length, end))

    async def _drop(self) -> None:
        upload, self._upload = self._upload, None
        if upload is not None:
            with contextlib.suppress(BusError):
                await self._objects.drop(upload)
