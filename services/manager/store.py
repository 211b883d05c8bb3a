"""What the managers know, shared by all of them: words in and out, each checked on the way in and again on the way out.

    nodes     signed records                                file, until expelled
    links     what each node measured of its neighbours     memory, leased
    labels    orders, one per node and route                file
    opening   routes that are just being laid               memory
    services  what nodes offer, signed by them              memory, leased
    members   from where each node joined last              memory
    allowed   who may join by name                          file
    names     whom the managers vouch for under a name      file
    expelled  who may not come back unadmitted              file
    invites   invitations not used up                       file
    peers     other clusters: asked, asking, peered         file
    imports   services of theirs that may be used here      memory, leased
    boards    what each says of its version             memory
    rollout   the update that is under way, or was last  file
    muted     who flooded, and must be silent for a while   memory, leased
    ledger    facts that are never taken back               file, append only

A card is written only for the file ones. Nodes write nothing here themselves (see `subjects`). Leases run on each
server's own clock.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Sequence

import msgspec

from services.addresses import read_route_id
from services.errors import IdentityError
from services.keys import NodeId, read_node_id
from services.manager.bucket import Bucket, Log, Shape, open_bucket, open_log, patiently
from services.manager.bus import Bus
from services.manager.errors import WordsError
from services.manager.invites import Invitation, invitation_id, spend
from services.manager.model import Expelled, Label, LedgerEntry, Service
from services.manager.offer import check_name, read_service
from services.manager.on_disk import OnDisk
from services.manager.peering.model import Import, Peer
from services.manager.record import NodeRecord, read_record
from services.manager.routes.model import Link
from services.manager.signed import Order, decode, read

LINK_LEASE_S, SERVICE_LEASE_S = 90.0, 90.0
"""Nodes say both again every 30 s."""

MUTE_S = 60.0

MAX_LINKS, MAX_SERVICES = 256, 32
"""Of one node."""

MAX_RECORD = 2048
"""Of a node, signed: some forty fit into an order about neighbours."""

LABEL = "label"

SHAPES = {
    "nodes": Shape("nodes", in_memory=False, max_bytes=32 << 20),
    "links": Shape("links", in_memory=True, max_bytes=16 << 20, leased_s=LINK_LEASE_S),
    "labels": Shape("labels", in_memory=False, max_bytes=96 << 20),
    "opening": Shape("opening", in_memory=True, max_bytes=4 << 20),
    "services": Shape("services", in_memory=True, max_bytes=16 << 20, leased_s=SERVICE_LEASE_S),
    "members": Shape("members", in_memory=True, max_bytes=8 << 20),
    "allowed": Shape("allowed", in_memory=False, max_bytes=4 << 20, decided=True),
    "names": Shape("names", in_memory=False, max_bytes=4 << 20, decided=True),
    "expelled": Shape("expelled", in_memory=False, max_bytes=8 << 20, decided=True),
    "invites": Shape("invites", in_memory=False, max_bytes=1 << 20, decided=True),
    "peers": Shape("peers", in_memory=False, max_bytes=4 << 20, decided=True),
    "imports": Shape("imports", in_memory=True, max_bytes=8 << 20, leased_s=SERVICE_LEASE_S),
    "boards": Shape("boards", in_memory=True, max_bytes=4 << 20),
    "rollout": Shape("rollout", in_memory=False, max_bytes=4 << 20, decided=True),
    "muted": Shape("muted", in_memory=True, max_bytes=1 << 20, leased_s=MUTE_S),
}
LEDGER_BYTES = 64 << 20


class Store:
    """Every method raises BusError; those that take bytes from a node raise WordsError first."""

    def __init__(self, buckets: dict[str, Bucket], ledger: Log) -> None:
        self._buckets = buckets
        self._nodes = buckets["nodes"]
        self._links = buckets["links"]
        self._labels = buckets["labels"]
        self._opening = buckets["opening"]
        self._services = buckets["services"]
        self._expelled = buckets["expelled"]
        self._muted = buckets["muted"]
        self._invites = buckets["invites"]
        self._members = buckets["members"]
        self._allowed = buckets["allowed"]
        self._names = buckets["names"]
        self._peers = buckets["peers"]
        self._imports = buckets["imports"]
        self.boards, self.rollout = buckets["boards"], buckets["rollout"]
        """For `services.updates`."""
        self._ledger = ledger

    # nodes

    async def put_record(self, data: bytes) -> NodeRecord:
        """A node's signed record, newer than the one here. Raises OlderError."""
        record = read_record(data)
        if len(data) > MAX_RECORD:
            raise WordsError(f"the record of node '{record.node_id}' has {len(data)} bytes, at most {MAX_RECORD}")
        await patiently(lambda: self._put_record(record, data), f"put the record of node '{record.node_id}'")
        return record

    async def _put_record(self, record: NodeRecord, data: bytes) -> None:
        """Looks first and writes only over what it saw, so it may be done again."""
        entry = await self._nodes.get(record.node_id)
        if entry is None:
            await self._nodes.create(record.node_id, data)
            return
        known = read_record(entry.value)
        if read_record(data, known) != known:
            await self._nodes.update(record.node_id, data, entry.revision)

    async def record(self, node_id: NodeId) -> NodeRecord | None:
        entry = await self._nodes.get(node_id)
        return read_record(entry.value) if entry is not None else None

    async def signed_record(self, node_id: NodeId) -> bytes | None:
        """As the node signed it, to be handed on."""
        entry = await self._nodes.get(node_id)
        return entry.value if entry is not None else None

    async def records(self) -> dict[NodeId, NodeRecord]:
        return {NodeId(key): read_record(entry.value) for key, entry in (await self._nodes.all()).items()}

    # links

    async def put_links(self, node_id: NodeId, data: bytes) -> tuple[Link, ...]:
        """What that node measured; of itself alone."""
        links = decode(data, tuple[Link, ...], f"links of node '{node_id}'")
        if len(links) > MAX_LINKS:
            raise WordsError(f"node '{node_id}' reports {len(links)} links, at most {MAX_LINKS}")
        for link in links:
            _check_id(link.dst)
            if link.src != node_id:
                raise WordsError(f"node '{node_id}' reports a link of '{link.src}'")
        await self._links.put(node_id, data)
        return links

    async def links(self) -> dict[NodeId, tuple[Link, ...]]:
        found = await self._links.all()
        return {NodeId(key): decode(entry.value, tuple[Link, ...], "links") for key, entry in found.items()}

    def follow_links(self) -> AsyncIterator[tuple[str, bytes | None]]:
        """What is there, then each change, as it was put; a lease that ran out is not told."""
        return _values(self._links)

    def follow(self, bucket: str, listed: Callable[[], None]) -> AsyncIterator[tuple[str, bytes | None]]:
        """The same of any bucket; `listed` is called between what is there and what comes."""
        return _values(self._buckets[bucket], listed)

    # members

    async def put_member(self, node_id: NodeId, address: str) -> None:
        await self._members.put(_check_id(node_id), address.encode())

    async def allow(self, node_id: NodeId) -> None:
        """It may join by name, also if it was expelled."""
        await self._allowed.put(_check_id(node_id), b"{}")

    async def disallow(self, node_id: NodeId) -> None:
        if await self._allowed.get(_check_id(node_id)) is not None:
            await self._allowed.delete(node_id)

    async def vouch(self, name: str, node_id: NodeId) -> None:
        """For that name, in the place of a former one."""
        await self._names.put(check_name(name.lower()), _check_id(node_id).encode())

    async def unvouch(self, name: str) -> None:
        await self._names.delete(check_name(name.lower()))

    # labels

    async def put_label(self, order: bytes) -> None:
        """An order that `signed.sign_order` made for one hop, kind `label`."""
        _, words = read(order, "skywire order", Order)
        label = decode(words.body, Label, "label")
        await self._labels.put(label_key(words.to, label.route), order)

    async def keep_label(self, node_id: NodeId, route: str, order: bytes) -> None:
        """The same, of an order that was signed here just now."""
        await self._labels.put(label_key(node_id, route), order)

    async def labels(self, node_id: NodeId) -> list[bytes]:
        """Every order for that hop, still signed."""
        return [entry.value for entry in (await self._labels.all(f"{_check_id(node_id)}.*")).values()]

    async def forget_label(self, node_id: NodeId, route: str) -> None:
        await self._labels.delete(label_key(node_id, route))

    async def put_opening(self, routes: Sequence[str]) -> None:
        """These are being laid, until `forget_opening`."""
        await self._opening.put(routes[0], msgspec.json.encode(routes))

    async def forget_opening(self, routes: Sequence[str]) -> None:
        await self._opening.delete(routes[0])

    async def openings(self) -> list[list[str]]:
        """The routes that were being laid together."""
        return [decode(entry.value, list[str], "opening") for entry in (await self._opening.all()).values()]

    # services

    async def put_service(self, node_id: NodeId, data: bytes) -> Service:
        service = read_service(data)
        if service.node_id != node_id:
            raise WordsError(f"node '{node_id}' offers a service of '{service.node_id}'")
        await self._services.put(f"{node_id}.{service.name}", data)
        return service

    async def withdraw_service(self, node_id: NodeId, name: str) -> None:
        await self._services.delete(f"{_check_id(node_id)}.{check_name(name)}")

    async def services(self) -> list[Service]:
        return [read_service(entry.value) for entry in (await self._services.all()).values()]

    # other clusters

    async def put_peer(self, peer: Peer) -> None:
        await self._peers.put(_check_id(peer.manager_id), msgspec.json.encode(peer))

    async def forget_peer(self, manager_id: NodeId) -> None:
        """With what of theirs may be used here."""
        await self._peers.delete(_check_id(manager_id))
        await self.forget_imports(manager_id)

    async def forget_imports(self, manager_id: NodeId) -> None:
        for key in await self._imports.all(f"{manager_id}.*.*"):
            await self._imports.delete(key)

    async def put_import(self, manager_id: NodeId, offered: Import) -> Service:
        service = read_service(offered.signed)
        await self._imports.put(
            f"{_check_id(manager_id)}.{service.node_id}.{service.name}", msgspec.json.encode(offered)
        )
        return service

    async def withdraw_import(self, manager_id: NodeId, node_id: NodeId, name: str) -> None:
        await self._imports.delete(f"{_check_id(manager_id)}.{_check_id(node_id)}.{check_name(name)}")

    # expulsion

    async def expel(self, node_id: NodeId, reason: str) -> None:
        """From now on; the `gate` closes its connections, `forget` does the rest."""
        words = Expelled(int(time.time()), reason)
        await self._expelled.put(_check_id(node_id), msgspec.json.encode(words))

    async def forget(self, node_id: NodeId) -> None:
        """All of a node."""
        await self.disallow(node_id)
        for bucket in (self._links, self._nodes, self._members, self.boards):
            await bucket.delete(_check_id(node_id))
        for bucket, below in ((self._labels, f"{node_id}.*"), (self._services, f"{node_id}.*")):
            for key in await bucket.all(below):
                await bucket.delete(key)

    async def is_expelled(self, node_id: NodeId) -> bool:
        return await self._expelled.get(_check_id(node_id)) is not None

    async def readmit(self, node_id: NodeId) -> None:
        if await self._expelled.get(_check_id(node_id)) is not None:
            await self._expelled.delete(node_id)

    async def expelled(self) -> dict[NodeId, Expelled]:
        found = await self._expelled.all()
        return {NodeId(key): decode(entry.value, Expelled, "expelled") for key, entry in found.items()}

    async def mute(self, node_id: NodeId) -> None:
        await self._muted.put(_check_id(node_id), b"{}")

    async def refused(self) -> tuple[frozenset[NodeId], frozenset[NodeId]]:
        """Whom the bus must not serve now: who was expelled, and who is muted for a while."""
        expelled, muted = await self._expelled.all(), await self._muted.all()
        return frozenset(map(NodeId, expelled)), frozenset(map(NodeId, muted))

    def follows_of_refused(self) -> tuple[Callable[[], AsyncIterator[object]], ...]:
        """Each gives a sign whenever somebody comes on the list or, but for a mute's end, goes."""
        return self._expelled.follow, self._muted.follow

    # invitations

    async def put_invitation(self, invitation: Invitation) -> None:
        await self._invites.create(invitation.id, msgspec.json.encode(invitation))

    async def spend_invitation(self, token: str, now_unix_s: int) -> None:
        """One use of it. Raises JoinError; ConflictError when somebody else spent one just now: ask again."""
        name = invitation_id(token)
        entry = await self._invites.get(name) if name is not None else None
        known = decode(entry.value, Invitation, "invitation") if entry is not None else None
        left = spend(known, token, now_unix_s)
        if entry is not None:
            await self._invites.update(left.id, msgspec.json.encode(left), entry.revision)

    # ledger

    async def append(self, entry: LedgerEntry) -> int:
        """Its place in the ledger."""
        return await self._ledger.append(check_name(entry.what), msgspec.json.encode(entry), entry.once)

    async def ledger_entry(self, place: int) -> LedgerEntry | None:
        entry = await self._ledger.read(place)
        return decode(entry.value, LedgerEntry, "ledger") if entry is not None else None

    async def tidy(self) -> None:
        for bucket in self._buckets.values():
            await bucket.tidy()


async def open_store(bus: Bus, replicas: int, on_disk: OnDisk | None = None) -> Store:
    """Makes what is missing. Raises BusError."""
    buckets = {name: await open_bucket(bus, shape, replicas, on_disk) for name, shape in SHAPES.items()}
    return Store(buckets, await open_log(bus, "ledger", LEDGER_BYTES, replicas, on_disk))


def label_key(node_id: NodeId, route: str) -> str:
    try:
        read_route_id(route)
    except IdentityError as error:
        raise WordsError(str(error)) from None
    return f"{_check_id(node_id)}.{route}"


def _check_id(node_id: str) -> NodeId:
    try:
        return read_node_id(node_id)
    except IdentityError as error:
        raise WordsError(str(error)) from None


async def _values(bucket: Bucket, listed: Callable[[], None] | None = None) -> AsyncIterator[tuple[str, bytes | None]]:
    async for key, entry in bucket.follow(listed=listed):
        yield key, entry.value if entry is not None else None
