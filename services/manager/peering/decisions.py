"""Who may peer: what operators decide here, and what becomes of those who knock. Both sides must want it; whoever was
refused or expelled is told so, and asks in vain until an operator here wants it.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Awaitable, Callable, Mapping

import msgspec
from msgspec.structs import replace

from services.errors import IdentityError
from services.keys import Identity, NodeId, read_node_id
from services.manager import api_words as api
from services.manager.admission import Knocking
from services.manager.config import read_place
from services.manager.errors import JoinError, LocalNodeError, RefusedError, WordsError
from services.manager.limits import Limits
from services.manager.model import LedgerEntry
from services.manager.peering.crossings import Crossings
from services.manager.peering.keeper import Condition
from services.manager.peering.knock import Heard, Knock, answer_knock, open_knock
from services.manager.peering.model import Exports, Peer, Stage, make_exports
from services.manager.peering.peers import Peers, check_called
from services.manager.registry import Registry
from services.manager.store import Store

log = logging.getLogger(__name__)

MAX_PEERS = 64
"""That an operator here wanted. What strangers leave behind gives way to what comes: the oldest of it first."""

MAX_ASKING, MAX_ASKING_OF_ONE, MAX_LEFT = 16, 2, 64
"""Who ask; of them from one address; who were refused or have ended it."""

NEWS_PER_S, NEWS_AT_ONCE = 1 / 60, 4
"""What one address may have written down; all together ten times as much. The rest is not kept: it wears the card."""

ASKS_FOR_S = 3600.0
"""After its last knock. Who really asks knocks every few seconds."""

WORKS_S = 25.0
"""They say something every ten."""

_AT = re.compile(r"(?:skywire:)?([0-9a-f]{64})@(\S+)")

Greet = Callable[[Peer], Awaitable[None]]


class Decisions:
    """Raises RefusedError, WordsError, BusError."""

    def __init__(
        self,
        identity: Identity,
        managers: tuple[NodeId, ...],
        peers: Peers,
        store: Store,
        registry: Registry,
        crossings: Crossings,
        exports: Exports,
        conditions: Mapping[NodeId, Condition],
        greet: Greet,
    ) -> None:
        self._identity, self._me, self._managers = identity, identity.node_id, managers
        self._peers, self._store, self._registry, self._crossings = peers, store, registry, crossings
        self._exports, self._conditions, self._greet = exports, conditions, greet
        self._began_s = time.monotonic()
        self._knocked: dict[NodeId, tuple[int, float]] = {}
        """How often, and when last."""
        self._news = Limits(NEWS_PER_S, NEWS_AT_ONCE), Limits(10 * NEWS_PER_S, 10 * NEWS_AT_ONCE)

    # operators

    async def peer(self, wish: api.Peer) -> None:
        manager, at = self._read_whom(wish.manager_id, wish.at)
        if manager in self._managers or manager in self._registry.nodes:
            raise RefusedError(f"'{manager}' is of this cluster: peer with a manager of another one")
        known = self._peers.all.get(manager)
        if known is None and len(self._at("asked", "peered")) >= MAX_PEERS:
            raise RefusedError(f"{MAX_PEERS} clusters are all that this one keeps: take some away (unpeer)")
        if known is not None and known.stage in {"asks", "peered"}:
            await self._put(self._given(replace(known, at=at or known.at), wish), "peered")
            return
        if not at:
            raise RefusedError("say where their join port is: --at host:port (there is no mesh to them yet)")
        fresh = known or Peer(manager, self._me, "asked", 0)
        await self._put(self._given(replace(fresh, at=at, border=self._me, by_us=False), wish), "asked")

    async def answer(self, wish: api.AnswerPeer) -> None:
        peer = self._known(wish.manager_id)
        if wish.accept:
            if peer.stage not in {"asks", "peered"} and not (peer.stage == "refused" and peer.by_us and peer.record):
                raise RefusedError(f"'{peer.manager_id}' does not ask (it is {peer.stage}): peer with it instead")
            await self._put(self._given(replace(peer, by_us=False), wish), "peered")
        elif peer.stage == "peered":
            raise RefusedError("these clusters are peered: unpeer ends that")
        else:
            await self._put(replace(peer, by_us=True, why="refused here"), "refused")

    async def unpeer(self, text: str) -> None:
        """Whatever it is; who is forgotten may ask again."""
        peer = self._known(text)
        await self._store.forget_peer(peer.manager_id)
        self._peers.note(None, peer.manager_id)
        await self._tell_ledger("unpeered" if peer.stage == "peered" else "peer-forgotten", peer.manager_id)

    def rows(self) -> api.Peers:
        known = sorted(self._peers.all.items())
        return api.Peers(tuple(self._row(peer) for _, peer in known if not self._is_over(peer)))

    def advice(self) -> list[str]:
        """For the manager's status."""
        asking = [peer for peer in self._at("asks") if not self._is_over(peer)]
        return [
            f"cluster '{peer.manager_id}' asks to peer (manager peers accept {peer.manager_id[:8]})" for peer in asking
        ]

    def whole_id(self, text: str) -> NodeId:
        return self._known(text).manager_id

    def is_peer(self, text: str) -> bool:
        try:
            return self._peers.find(text) in self._peers.all
        except WordsError:
            return False

    def _row(self, peer: Peer) -> api.PeerRow:
        condition = self._conditions.get(peer.manager_id) if peer.border == self._me else None
        heard_s, why, works = None, peer.why, False
        if condition is not None and peer.stage in {"asked", "peered"}:
            why = condition.why
            if condition.heard_s is not None:
                heard_s = round(time.monotonic() - condition.heard_s, 1)
                works = peer.stage == "peered" and heard_s < WORKS_S and not condition.failures
        called = {node_id: name for name, node_id in sorted(self._registry.names.items(), reverse=True)}
        imports = (
            f"{one.service.name}@{one.words.called or one.service.node_id}"
            for one in self._peers.imports(cluster=peer.manager_id)
        )
        exports = tuple(_readable(text, called) for text in peer.exports.services) if peer.stage != "asks" else ()
        crossing = [len(self._crossings.routes(peer, begun_there=there)) for there in (True, False)]
        return api.PeerRow(
            *(peer.manager_id, peer.name, peer.stage, peer.at, peer.since_unix_s, exports, tuple(imports)),
            *(peer.exports.relays, peer.border, works, heard_s, sum(crossing), why),
        )

    def _read_whom(self, text: str, at: str) -> tuple[NodeId, str]:
        """A whole id, `ID@HOST:PORT`, or who is known already."""
        found = _AT.fullmatch(text.strip())
        if found is not None:
            text, at = found[1], at or found[2]
        try:
            if at:
                read_place(at)
            return (self._peers.find(text) if len(text) < 64 else read_node_id(text)), at
        except (ValueError, IdentityError) as error:
            raise RefusedError(str(error)) from None

    def _known(self, text: str) -> Peer:
        peer = self._peers.all.get(self._peers.find(text))
        if peer is None:
            raise RefusedError(f"cluster '{text[:64]}' is not known here (see them: peers)")
        return peer

    def _given(self, peer: Peer, wish: api.Peer | api.AnswerPeer) -> Peer:
        """With what the operator gives, else what stands, else what manager.yaml says."""
        is_new = peer.stage != "peered"
        known = self._exports if is_new else peer.exports
        services = known.services if wish.exports is None else wish.exports
        relays = known.relays if wish.relays is None else wish.relays
        name = check_called(wish.name) or peer.name
        if name and any(
            other.name == name and other.manager_id != peer.manager_id for other in self._peers.all.values()
        ):
            raise RefusedError(f"another cluster is called '{name}' here")
        return replace(peer, exports=make_exports(services, self._registry.find, relays=relays), name=name)

    async def _put(self, peer: Peer, stage: Stage) -> None:
        is_new = peer.stage != stage or not peer.since_unix_s
        if is_new:
            peer = replace(peer, stage=stage, since_unix_s=int(time.time()), why=peer.why if stage == "refused" else "")
        await self._store.put_peer(peer)
        self._peers.note(peer, peer.manager_id)
        if is_new and stage == "peered":
            await self._tell_ledger("peered", peer.manager_id)

    async def _tell_ledger(self, what: str, manager: NodeId) -> None:
        now = int(time.time())
        body = msgspec.Raw(msgspec.json.encode({"by": self._me}))
        await self._store.append(LedgerEntry(f"{what}-{manager}-{time.time_ns()}", what, manager, now, body))

    # who knocks

    async def hear(self, knocking: Knocking, seen_from: str) -> bytes:
        """What to say to them. Raises JoinError."""
        by, knock = open_knock(self._identity, knocking)
        if by in self._registry.expelled or await self._store.is_expelled(by):
            raise JoinError("this cluster does not peer with you")
        if by in self._managers or by in self._registry.nodes:
            raise JoinError("you are a node of this cluster: there is nothing to peer")
        peer = await self._note(by, knock, read_place(seen_from)[0])
        record = b""
        if peer.stage == "peered":
            record = self._registry.nodes[self._me].signed if self._me in self._registry.nodes else b""
            if not record:
                raise JoinError("this manager's own node has not joined it yet: try again in a moment")
            try:
                await self._greet(peer)
            except LocalNodeError as error:
                log.warning("cluster '%s' cannot be let in: %s", by, error)
                raise JoinError("this manager's own node is away: try again in a moment") from None
        told: dict[str, Stage] = {"peered": "peered", "asks": "asked", "refused": "refused"}
        heard = Heard(by, knocking.challenge, told.get(peer.stage, "ended"), record, seen_from)
        return answer_knock(self._identity, by, heard)

    async def _note(self, by: NodeId, knock: Knock, address: str) -> Peer:
        """How it stands with them now. Raises JoinError, BusError."""
        peer = self._peers.all.get(by)
        stage = peer.stage if peer is not None else None
        fresh = Peer(by, self._me, "asks", int(time.time()))
        heard = replace(peer or fresh, record=knock.record, address=address, at=knock.at or (peer.at if peer else ""))
        if knock.wants == "end":
            return await self._part(peer or replace(fresh, stage="ended"))
        if peer is not None and (stage == "peered" or (peer.by_us and stage == "refused")):
            if stage == "peered" and (peer.record, peer.address) != (heard.record, heard.address):
                heard = replace(heard, at=peer.at or heard.at)
                await self._put(heard, "peered")
                return heard
            return peer
        if peer is not None and (stage == "asked" or (stage == "refused" and not peer.by_us)):  # our wish stands
            log.info("cluster '%s' wants to peer too", by)
            await self._put(replace(heard, at=peer.at), "peered")
            return self._peers.all[by]
        if knock.wants == "still":
            return replace(fresh, stage="ended")
        self._knocked[by] = self._knocks(by)[0] + 1, time.monotonic()
        if peer is None or stage != "asks":
            if not self._may_write(address):
                raise JoinError("too many requests to peer just now: ask again in a minute")
            await self._make_room(address)
            log.warning("cluster '%s' at '%s' asks to peer (manager peers accept %s)", by, address, by[:8])
            await self._put(replace(heard, stage="ended", border=self._me, name="", exports=Exports()), "asks")
        elif (peer.record, peer.address, peer.at) != (heard.record, heard.address, heard.at) and self._may_write(
            address
        ):
            await self._put(heard, "asks")
        return self._peers.all[by]

    def _may_write(self, address: str) -> bool:
        now_s = time.monotonic()
        return self._news[0].allows(address, now_s) and self._news[1].allows("", now_s)

    async def _make_room(self, address: str) -> None:
        """For another that asks: who knocked least often goes, then who did so longest ago; of its address first."""
        asking = sorted(self._at("asks"), key=lambda peer: self._knocks(peer.manager_id))
        over = [peer for peer in asking if self._is_over(peer)]
        alike = [peer for peer in asking if peer.address == address]
        over += alike[: max(0, len(alike) - MAX_ASKING_OF_ONE + 1)]
        over += asking[: max(0, len(asking) - MAX_ASKING + 1)]
        left = sorted(self._at("refused", "ended"), key=lambda peer: peer.since_unix_s)
        over += left[: max(0, len(left) - MAX_LEFT + 1)]
        for manager in dict.fromkeys(peer.manager_id for peer in over):
            await self._store.forget_peer(manager)
            self._peers.note(None, manager)
            self._knocked.pop(manager, None)

    def _at(self, *stages: Stage) -> list[Peer]:
        return [peer for peer in self._peers.all.values() if peer.stage in stages]

    def _knocks(self, manager: NodeId) -> tuple[int, float]:
        return self._knocked.get(manager, (0, self._began_s))

    def _is_over(self, peer: Peer) -> bool:
        return peer.stage == "asks" and time.monotonic() - self._knocks(peer.manager_id)[1] > ASKS_FOR_S

    async def _part(self, peer: Peer) -> Peer:
        if peer.stage == "peered":
            log.info("cluster '%s' ends the peering", peer.manager_id)
            await self._store.forget_imports(peer.manager_id)
            await self._put(replace(peer, why="they ended it"), "ended")
        elif peer.stage == "asks":
            await self._store.forget_peer(peer.manager_id)
            self._peers.note(None, peer.manager_id)
        return replace(peer, stage="ended")


def _readable(text: str, called: Mapping[NodeId, str]) -> str:
    name, at, node_id = text.partition("@")
    return f"{name}@{called.get(NodeId(node_id), node_id)}" if at else name
