"""What applications on this machine offer to the mesh: ports on the session address, opened in the firewall to whom
their access lists name, and told to the manager while the application holds on.

A list names node ids and `cluster:<manager id>`; who belongs to a cluster is known of those that have a session here.
After a restart of this process a service stays open for some seconds, until its application has published it again.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Collection, Iterator
from typing import Protocol

import msgspec

from services.addresses import session_address
from services.errors import IdentityError
from services.kernel.errors import KernelError
from services.kernel.model import Fact, granted, opened
from services.keys import Identity, NodeId, read_node_id
from services.manager.errors import WordsError
from services.manager.model import Service
from services.manager.offer import MAX_OPEN_TO, SERVICE, check_labels, check_name
from services.manager.signed import sign
from services.node.api_words import CLUSTER, Publish, Published, ServiceState
from services.node.book import Book
from services.node.config import Config
from services.node.errors import NodeError, ServiceError
from services.node.kept import Kept

log = logging.getLogger(__name__)

SAID_EACH_S = 30.0
GRACE_S = 20.0
MAX_SERVICES = 32
MANAGERS_PORTS = (4222, 6222)
"""Of the bus, which `Members` opens to members alone."""

BORDER_PORT = 4223
"""Where managers of other clusters speak with the one here (`services.manager.peering.words`)."""

_FILE = "service-"


class Sayer(Protocol):
    @property
    def managers(self) -> Collection[str]: ...

    async def say(self, what: str, data: bytes) -> None: ...

    def on_home(self, handler: Callable[[], Awaitable[None]]) -> None: ...


class Publisher:
    """Raises ServiceError for what cannot be offered."""

    def __init__(self, identity: Identity, config: Config, book: Book, home: Sayer, kept: Kept) -> None:
        self._identity, self._book, self._home, self._kept = identity, book, home, kept
        self._address = session_address(identity.node_id)
        self._taken = {config.link_port, config.session_port, config.probe_port, *MANAGERS_PORTS, BORDER_PORT}
        self._services: dict[str, Publish] = {}
        self._unclaimed: set[str] = set()
        self._clusters: dict[NodeId, dict[str, str]] = {}
        self._foreign: dict[NodeId, tuple[str, ...]] = {}
        self._turn = asyncio.Lock()
        self._news = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def __len__(self) -> int:
        return len(self._services)

    # from start to end

    async def restore(self) -> None:
        """What was published goes into the book, and waits for its application."""
        for name in self._kept.names(_FILE):
            service = self._kept.read(name, Publish)
            if service is None or name != _FILE + service.name:
                self._kept.remove(name)
                continue
            self._services[service.name] = service
            self._unclaimed.add(service.name)
            await self._book.set(_owner(service.name), self._facts(service))

    async def start(self) -> None:
        self._home.on_home(self._say)
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _run(self) -> None:
        """Says what is offered, for ever."""
        grace = asyncio.get_running_loop().call_later(GRACE_S, self._news.set)
        began_s = time.monotonic()
        try:
            while True:
                if self._unclaimed and time.monotonic() - began_s >= GRACE_S:
                    for name in tuple(self._unclaimed):
                        await self.withdraw(name)
                self._news.clear()
                await self._say()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(SAID_EACH_S):
                        await self._news.wait()
        finally:
            grace.cancel()

    async def _say(self) -> None:
        sequence = time.time_ns()
        words = [
            Service(self._identity.node_id, service.name, service.port, sequence, service.open_to, service.labels)
            for service in self._services.values()
        ]
        offered = tuple(sign(self._identity, SERVICE, word) for word in words)
        try:
            await self._home.say("services", msgspec.json.encode(offered))
        except NodeError as error:
            log.debug("what is offered is not said: %s", error)

    # applications

    async def publish(self, wanted: Publish) -> Published:
        """Until `withdraw`."""
        service = self._checked(wanted)
        async with self._turn:
            old = self._services.get(service.name)
            if old is not None and service.name not in self._unclaimed:
                raise ServiceError(f"service '{service.name}' is published already: withdraw it first")
            self._check_port(service)
            try:
                report = await self._book.set(_owner(service.name), self._facts(service))
                if report.failed:
                    raise ServiceError(f"service '{service.name}': the firewall refused: {report.failed[0].reason}")
                self._kept.write(_FILE + service.name, service)
            except (NodeError, KernelError):
                await self._book.set(_owner(service.name), ())
                raise
            self._services[service.name] = service
            self._unclaimed.discard(service.name)
        self._news.set()
        return Published(str(self._address), service.port)

    async def withdraw(self, name: str) -> None:
        """Open connections go on. It is no error that there is none."""
        async with self._turn:
            if self._services.pop(name, None) is None:
                return
            self._unclaimed.discard(name)
            self._kept.remove(_FILE + name)
            await self._book.set(_owner(name), ())
        self._news.set()

    def states(self) -> tuple[ServiceState, ...]:
        me, address = self._identity.node_id, str(self._address)
        return tuple(
            ServiceState(me, one.name, address, one.port, one.open_to, one.labels) for one in self._services.values()
        )

    # access

    def refusal(self, service: str, node_id: NodeId, cluster: str) -> str:
        """Why that node may not use the service here, or nothing."""
        found = self._services.get(service)
        if found is None:
            return f"node '{self._identity.node_id}' offers no service {service[:63]!a}"
        allowed = not found.open_to or node_id in found.open_to or self._is_for(found, cluster)
        return "" if allowed else f"service '{service}' is not open to node '{node_id}': ask its owner"

    async def take_member(self, node_id: NodeId, cluster: str, by: str, only: tuple[str, ...] | None = None) -> None:
        """`by` says that the node belongs to that manager's cluster, or with no `cluster`, says no longer so. One of
        another cluster may use `only` these services, whatever their lists say.
        """
        async with self._turn:
            before = self._foreign.pop(node_id, None)
            if only is not None:
                self._foreign[node_id] = only
            known = self._clusters.setdefault(node_id, {})
            old = known.pop(by, "")
            if cluster:
                known[by] = cluster
            elif not known:
                del self._clusters[node_id]
            named = {*(before or ()), *(only or ())}
            touched = [
                one
                for one in self._services.values()
                if self._is_for(one, old) or self._is_for(one, cluster) or one.name in named
            ]
            if (old != cluster or before != only) and touched:
                await self._book.set_many({_owner(one.name): self._facts(one) for one in touched})

    def _facts(self, service: Publish) -> list[Fact]:
        let_in = [node_id for node_id, names in self._foreign.items() if service.name in names]
        named = [node_id for node_id in self._allowed(service) if node_id not in self._foreign]
        facts = [] if service.open_to else [opened(service.protocol, service.port)]
        allowed = dict.fromkeys([*named, *let_in])
        return [*facts, *(granted(session_address(node_id), service.protocol, service.port) for node_id in allowed)]

    def _allowed(self, service: Publish) -> Iterator[NodeId]:
        for text in service.open_to:
            if not text.startswith(CLUSTER):
                yield NodeId(text)
        for node_id, known in self._clusters.items():
            if any(self._is_for(service, cluster) for cluster in known.values()):
                yield node_id

    def _is_for(self, service: Publish, cluster: str) -> bool:
        """The managers of this node have one cluster, whichever of them a list names."""
        managers = self._home.managers
        return any(CLUSTER + name in service.open_to for name in (managers if cluster in managers else (cluster,)))

    def _checked(self, wanted: Publish) -> Publish:
        """What every node that is told of it will read without complaint."""
        if len(wanted.open_to) > MAX_OPEN_TO:
            raise ServiceError(f"service '{wanted.name[:63]}' is open to more than {MAX_OPEN_TO}: name a cluster")
        for text in wanted.open_to:
            try:
                read_node_id(text.removeprefix(CLUSTER))
            except IdentityError as error:
                raise ServiceError(f"open_to: {error} (or 'cluster:' and a manager's id)") from None
        try:
            check_name(wanted.name)
            check_labels(wanted.labels)
        except WordsError as error:
            raise ServiceError(str(error)) from None
        if not 1 <= wanted.port <= 65535:
            raise ServiceError(f"port '{wanted.port}' of service '{wanted.name}' is not from 1 to 65535")
        return wanted

    def _check_port(self, service: Publish) -> None:
        if service.port in self._taken:
            raise ServiceError(f"port {service.port} is the mesh's own: choose another")
        for other in self._services.values():
            if other.name != service.name and (other.protocol, other.port) == (service.protocol, service.port):
                raise ServiceError(f"port {service.port} is that of service '{other.name}': choose another")
        if len(self._services) >= MAX_SERVICES and service.name not in self._services:
            raise ServiceError(f"this node offers {MAX_SERVICES} services already: withdraw one")


def _owner(name: str) -> str:
    return f"service:{name}"
