"""The manager, put together: the engine, what it knows, its door and its desk. `run` starts and ends it.

engine ─┬ registry ─┬ members ── the node here
        │           ├ gatekeeper ── door
        │           └ …
"""

from __future__ import annotations

import logging
import time
from contextlib import AsyncExitStack

from services.addresses import session_address
from services.errors import SeedFileError
from services.keys import Identity, NodeId, new_seed
from services.manager.config import Config
from services.manager.door import Door
from services.manager.engine import Engine
from services.manager.errors import EngineError, LocalNodeError
from services.manager.gatekeeper import Gatekeeper
from services.manager.local_node import LocalNode
from services.manager.members import Members
from services.manager.registry import Registry
from services.manager.server_config import Address, client_url
from services.secrecy import Secret
from services.seed_file import create, read

log = logging.getLogger(__name__)


class Manager:
    """`bus_at` is where its bus listens: its session address, but in tests without a mesh."""

    engine: Engine
    registry: Registry
    members: Members
    gatekeeper: Gatekeeper
    door: Door

    def __init__(self, identity: Identity, config: Config, bus_at: dict[NodeId, Address] | None = None) -> None:
        self.identity, self.config = identity, config
        self.me = identity.node_id
        self.managers = (self.me, *(other.id for other in config.others))
        self._bus_at = bus_at or {node_id: session_address(node_id) for node_id in self.managers}
        self._is_bound = bus_at is None
        self.local = LocalNode(config.node)
        self._undo = AsyncExitStack()

    async def start(self) -> None:
        """All of it, or nothing of it. Raises ManagerError."""
        try:
            await self._start()
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        await self._undo.aclose()

    async def _start(self) -> None:
        secret = read_secret(self.config)
        self._undo.push_async_callback(self.local.close)
        await self._check_local()
        others = tuple(self._bus_at[other.id] for other in self.config.others)
        self.engine = Engine(self.identity, secret, self._bus_at[self.me], self.config.folder, others)
        self.registry = Registry()
        self.members = Members(self.me, self.local, self.registry, self.config.others)
        await self.members.join_others()
        await self.engine.start()
        self._undo.push_async_callback(self.engine.stop)
        await self.registry.start(self.engine.store)
        self._undo.push_async_callback(self.registry.stop)
        self.members.start()
        self._undo.push_async_callback(self.members.stop)
        await self._open_door()

    async def _check_local(self) -> None:
        status = await self.local.status()
        if status.node_id != self.me:
            raise LocalNodeError(
                f"the node at '{self.config.node}' is '{status.node_id}', this manager is '{self.me}' "
                "(give both the same seed)"
            )

    async def _open_door(self) -> None:
        urls = tuple(client_url(self._bus_at[node_id]) for node_id in self.managers)
        self.gatekeeper = Gatekeeper(
            self.managers, urls, self.make_token, self.config.join, self.engine.store, self.registry, self.members
        )
        self.door = Door(self.identity, self.gatekeeper.admit)
        await self.door.start(self.config.join.listen)
        self._undo.push_async_callback(self.door.stop)

    def make_token(self, node_id: NodeId) -> str:
        """For the bus; from its session address alone."""
        address = session_address(node_id) if self._is_bound else None
        return self.engine.node_token(node_id, int(time.time()), address)


def read_secret(config: Config) -> Secret:
    """What the managers of a cluster share; a manager without others makes its own. Raises EngineError."""
    path = config.secret_file
    try:
        if not path.exists():
            if config.others:
                raise EngineError(f"no cluster secret at '{path}' (copy it from another manager of the cluster)")
            create(path, new_seed())
        return read(path)
    except SeedFileError as error:
        raise EngineError(f"the cluster secret is unusable: {error}") from None
