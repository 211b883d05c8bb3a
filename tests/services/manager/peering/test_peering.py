"""Two managers in this process, each with a real nats-server and nodes that are only their bus ends: who may peer, what
crosses the border, and what does not.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest

from services.addresses import new_route_id
from services.keys import Identity, NodeId, new_seed
from services.manager import api_words as api
from services.manager import asks
from services.manager.errors import JoinError, ManagerError, RefusedError
from services.manager.manager import Manager
from services.manager.peering import crossings, decisions, keeper, line
from services.manager.peering import words as said
from services.manager.peering.doorway import knock
from services.manager.peering.model import Exports, Peer
from services.manager.record import make_record, sign_record
from services.manager.routes.model import Link
from services.manager.routes.policy import Policy
from services.manager.server_config import Address
from services.manager.signed import sign
from tests.services.manager.engine.rack import new_address
from tests.services.manager.program.ends import Node, nodes, run, running_manager

WITHIN_S = 20.0


class Clusters:
    """`a` asks, `b` is asked; `x` and `y` are a node of each."""

    def __init__(self, a: Manager, b: Manager, x: Node, y: Node) -> None:
        self.a, self.b, self.x, self.y = a, b, x, y

    async def peer(self, *exports: str, relays: bool = False) -> None:
        """B gives A these services."""
        await decide(self.a, api.Peer(self.b.me, f"127.0.0.1:{self.b.door.port}", (), name="bee"))
        await until(lambda: stage(self.b, self.a) == "asks", "it asks")
        await decide(self.b, api.AnswerPeer(self.a.me[:8], True, exports, relays=relays, name="ay"))
        await until(lambda: works(self.a) and works(self.b), "they speak")

    async def begin(self, service: str = "web", **more: object) -> asks.Answer:
        routes = (new_route_id().hex(), new_route_id().hex())
        return await self.x.ask(asks.Begin(self.y.id, service, routes, **more))  # type: ignore[arg-type]

    async def open(self, begun: asks.Begun, service: str = "web", by: Node | None = None) -> asks.Answer:
        routes = tuple(path.route for path in begun.paths)
        who = by or self.x
        request = asks.SessionRequest(who.id, self.y.id, service, routes, begun.challenge)
        return await who.ask(asks.Open(sign(who.identity, asks.SESSION_REQUEST, request)))


@asynccontextmanager
async def clusters(folder: Path) -> AsyncIterator[Clusters]:
    a, b = Identity(new_seed()), Identity(new_seed())
    at: dict[NodeId, Address] = {a.node_id: new_address(), b.node_id: new_address()}
    for name in "ab":
        (folder / name).mkdir()
    async with (
        running_manager(folder / "a", identity=a, address_of=at.__getitem__) as (one, _),
        running_manager(folder / "b", identity=b, address_of=at.__getitem__, exports=Exports(("mail",))) as (other, _),
        nodes(one, 1) as (x,),
        nodes(other, 1) as (y,),
        own_node(a, one, b.node_id, x),
        own_node(b, other, a.node_id, y),
    ):
        yield Clusters(one, other, x, y)


@asynccontextmanager
async def own_node(identity: Identity, manager: Manager, beyond: NodeId, member: Node) -> AsyncIterator[Node]:
    """The manager's own node, which is the border: linked with the member, and with the other border."""
    node = Node(identity, sequence=2)
    await node.connect(await node.join(manager.door.port))
    try:
        far = Link(node.id, beyond, 0.002, mtu=1400)
        here = Link(node.id, member.id, 0.001)
        await node.say("links", msgspec.json.encode((here, far)))
        await member.say_links(node)
        await until(lambda: manager.keeper.links_up == 1, "the link is known")
        yield node
    finally:
        await node.close()


async def decide(manager: Manager, wish: api.Request) -> None:
    assert await manager.office.handle(wish) == api.Done()


def row(manager: Manager) -> api.PeerRow | None:
    rows = manager.decisions.rows().peers
    return rows[0] if rows else None


def stage(manager: Manager, other: Manager) -> str:
    peer = manager.peers.all.get(other.me)
    return peer.stage if peer is not None else ""


def works(manager: Manager) -> bool:
    found = row(manager)
    return found is not None and found.works


async def until(is_so: Callable[[], object], what: str) -> None:
    """There is no word of it from within a manager."""
    try:
        async with asyncio.timeout(WITHIN_S):
            while not is_so():  # noqa: ASYNC110 (of what is not told)
                await asyncio.sleep(0.02)
    except TimeoutError:
        raise AssertionError(f"not so in {WITHIN_S:g} s: {what}") from None


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeper, "KNOCK_S", 0.1)
    monkeypatch.setattr(keeper, "LOOK_S", 0.1)
    monkeypatch.setattr(keeper, "SAY_S", 0.5)
    monkeypatch.setattr(crossings, "MISSED_FOR_S", 1.0)


def test_who_may_peer(tmp_path: Path) -> None:
    async def test() -> None:
        async with clusters(tmp_path) as two:
            await refused_at_once(two)
            await asked_and_refused(two)
            await wanted_by_both(two)
            await ended_by_one(two)
            await expelled(two)

    run(test())


def test_strangers_do_not_crowd_out_who_really_asks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decisions, "MAX_ASKING", 4)
    monkeypatch.setattr(decisions, "NEWS_AT_ONCE", 6)

    async def test() -> None:
        async with clusters(tmp_path) as two:
            at = f"127.0.0.1:{two.b.door.port}"
            await decide(two.a, api.Peer(two.b.me, at, ()))
            await until(lambda: stage(two.b, two.a) == "asks", "it asks")
            await until(lambda: two.b.decisions._knocks(two.a.me)[0] > 2, "it knocks on")
            for _ in range(5):  # from its very address
                await knock(stranger := Identity(new_seed()), two.b.me, at, "peer", record_of(stranger), "")
                assert stage(two.b, two.a) == "asks", "who knocks on stays"
            assert len(two.b.peers.all) == decisions.MAX_ASKING_OF_ONE
            with pytest.raises(JoinError, match="too many requests to peer"):
                await knock(stranger := Identity(new_seed()), two.b.me, at, "peer", record_of(stranger), "")
            assert await knock(stranger, two.b.me, at, "still", record_of(stranger), "")
            monkeypatch.setattr(decisions, "ASKS_FOR_S", -1.0)
            assert two.b.decisions.rows().peers == (), "who is silent for long asks no longer"

    run(test())


def record_of(identity: Identity) -> bytes:
    return sign_record(identity, make_record(identity, 1, (), "1"))


async def refused_at_once(two: Clusters) -> None:
    a, b = two.a, two.b
    wrong: dict[str, api.Request] = {
        "say where their join port is": api.Peer(b.me),
        "no cluster known here": api.Peer("31ab", "127.0.0.1:1"),
        "is of this cluster": api.Peer(two.x.id, "127.0.0.1:1"),
        "is not host:port": api.Peer(b.me, "host:door"),
        "is no name": api.Peer(b.me, "127.0.0.1:1", ("a b",)),
        "not known here": api.AnswerPeer(b.me, True),
    }
    for why, wish in wrong.items():
        with pytest.raises(ManagerError, match=why):
            await a.office.handle(wish)
    assert a.decisions.rows().peers == ()


async def asked_and_refused(two: Clusters) -> None:
    a, b = two.a, two.b
    await decide(a, api.Peer(f"{b.me}@127.0.0.1:{b.door.port}", exports=()))
    await until(lambda: stage(b, a) == "asks", "it asks")
    assert any("asks to peer" in line for line in (await b.health.check()).advice)
    await asyncio.sleep(0.3)
    assert (stage(a, b), stage(b, a)) == ("asked", "asks"), "nothing happens by itself"
    await decide(b, api.AnswerPeer(a.me, False))
    await until(lambda: stage(a, b) == "refused", "it is told")
    await decide(a, api.Peer(b.me, f"127.0.0.1:{b.door.port}", ()))
    await until(lambda: stage(a, b) == "refused", "it asks in vain")
    assert stage(b, a) == "refused"
    await decide(b, api.AnswerPeer(a.me, True, ()))
    await until(lambda: works(a) and works(b), "they think better of it")
    await decide(a, api.Unpeer(b.me))
    await until(lambda: stage(b, a) == "ended", "it is told")


async def wanted_by_both(two: Clusters) -> None:
    """Who is asked and asks too has answered."""
    a, b = two.a, two.b
    await decide(b, api.Unpeer(a.me))
    await decide(a, api.Peer(b.me, f"127.0.0.1:{b.door.port}", ()))
    await until(lambda: stage(b, a) == "asks", "it asks")
    await decide(b, api.Peer(a.me, name="ay"))
    await until(lambda: works(a) and works(b), "they speak")
    found = row(b)
    assert found is not None
    assert found.exports == ("mail",), "what manager.yaml says"
    await decide(b, api.AnswerPeer("ay", True, ("web", f"mail@{two.y.id[:8]}")))
    found = row(b)
    assert found is not None
    assert found.exports == ("web", f"mail@{two.y.id}")
    await until(lambda: two.y.borders.get(a.me) == ("web", "mail"), "the node is told")
    await until(lambda: two.x.borders == {b.me: ()}, "so is the other")


async def ended_by_one(two: Clusters) -> None:
    a, b = two.a, two.b
    await decide(a, api.Unpeer(b.me))
    await until(lambda: stage(b, a) == "ended", "it is told")
    assert stage(a, b) == ""
    await until(lambda: not two.x.borders and not two.y.borders, "nodes are told")
    await asyncio.sleep(0.3)
    assert stage(a, b) == "", "they do not ask by themselves"
    with pytest.raises(RefusedError, match="does not ask"):
        await b.office.handle(api.AnswerPeer(a.me, True))


async def expelled(two: Clusters) -> None:
    a, b = two.a, two.b
    await decide(b, api.Expel(a.me, "a test"))
    await decide(a, api.Peer(b.me, f"127.0.0.1:{b.door.port}", ()))
    await until(lambda: "does not peer with you" in (row(a).why if row(a) else ""), "it is told")  # type: ignore[union-attr]
    assert b.decisions.rows().peers == ()


def test_what_crosses_the_border(tmp_path: Path) -> None:
    async def test() -> None:
        async with clusters(tmp_path) as two:
            await two.y.say_services("web", "mail", "private")
            await two.peer("web", "mail")
            await found_with_its_cluster(two)
            await a_session(two)
            await repeated_by_another(two)
            await what_is_refused(two)
            await strangers(two)
            await routes_that_one_side_lost(two)
            await withdrawn(two)
            await all_gone(two)

    run(test())


async def found_with_its_cluster(two: Clusters) -> None:
    await until(lambda: len(two.a.peers.imports()) == 2, "what is exported is known, and no more")
    found = await two.x.ask(asks.Find())
    assert isinstance(found, asks.Found)
    assert len(found.services) == 2
    assert found.clusters == {two.y.id: two.b.me}
    await two.b.engine.store.vouch("depot", two.y.id)
    await until(lambda: two.a.peers.named("depot.bee") == two.y.id, "names come with it")
    assert await two.x.ask(asks.Name("depot.bee")) == asks.Named(two.y.id)
    assert await two.x.ask(asks.Name("depot")) == asks.Named(None)


async def a_session(two: Clusters) -> None:
    a, b, x, y = two.a, two.b, two.x, two.y
    begun = await two.begin()
    assert isinstance(begun, asks.Begun), begun
    assert begun.paths[0].nodes == (x.id, a.me, b.me, y.id)
    assert begun.paths[0].mtu == 1400
    assert (begun.direct, begun.cluster) == ((), b.me)
    assert y.challenges[-1].cluster == a.me
    assert await two.open(begun) == asks.Opened()
    route = begun.paths[0].route
    assert (x.labels[route].responder_side, y.labels[route].initiator_side) == (a.me, b.me)
    offer = y.offers[-1]
    claim = said.Vouch(x.id, y.id, "web", begun.challenge)
    assert offer.cluster == said.check_vouch(offer.vouch, claim) == a.me
    assert b.book.nodes(route) == (b.me, y.id)
    assert (row(a).routes, row(b).routes) == (1, 1)  # type: ignore[union-attr]
    assert await x.ask(asks.Close((route,))) == asks.Done()
    await until(lambda: not x.labels and not y.labels and not b.book.labels, "both halves are taken back")


async def repeated_by_another(two: Clusters) -> None:
    """Who is peered too, and offers what it heard of B: B's node is reached all the same."""
    a = two.a
    liar = Identity(new_seed())
    while liar.node_id > two.b.me:  # which would be asked later
        liar = Identity(new_seed())
    (known,) = a.peers.imports("web")
    a.peers.note(Peer(liar.node_id, Identity(new_seed()).node_id, "peered", 1, record=record_of(liar)), liar.node_id)
    await a.engine.store.put_import(liar.node_id, known.words)
    await until(lambda: len(a.peers.imports("web")) == 2, "both offer it")
    assert isinstance(await two.begin(), asks.Begun)
    a.peers.note(None, liar.node_id)


async def what_is_refused(two: Clusters) -> None:
    for service in ("private", "nothing"):
        assert "is not in this network" in told(await two.begin(service))
    assert "by its border alone" in told(await two.begin(policy=Policy(via=(Identity(new_seed()).node_id,))))
    two.y.refuses[asks.SESSION] = "not on the list"
    begun = await two.begin()
    assert isinstance(begun, asks.Begun)
    assert "not on the list" in told(await two.open(begun))
    assert "begin again" in told(await two.open(begun)), "once"
    two.y.refuses.clear()
    await until(lambda: not two.x.labels and not two.y.labels, "nothing is left")


async def strangers(two: Clusters) -> None:
    """What A's manager may not ask, though A is peered; and what another may not ask at all."""
    a, b, x, y = two.a, two.b, two.x, two.y
    half = said.Half(x.id, y.id, "web", (new_route_id().hex(),))
    wrong: dict[str, said.Ask] = {
        "is not exported": replace(half, service="private"),
        "not exported to you": replace(half, responder=x.id),
        "is of this cluster": replace(half, initiator=y.id),
        "'beside' is no way": replace(half, beside=(x.id, y.id)),
        "begin again": said.Lay(sign(x.identity, asks.SESSION_REQUEST, request_of(two, half))),
    }
    for why, ask in wrong.items():
        assert why in told(await a.border.ask(b.me, ask))
    answer = await line.ask(new_address(), (str(b._bus_at[b.me]), said.PORT), half)
    assert "not peered" in told(answer)
    assert not y.offers[1:]


async def routes_that_one_side_lost(two: Clusters) -> None:
    """A word that is lost is made up for when the two compare."""
    begun = await two.begin()
    assert isinstance(begun, asks.Begun)
    assert await two.open(begun) == asks.Opened()
    two.b.crossings._missed.clear()
    two.a.desk._hops.drop([begun.paths[0].route])
    await until(lambda: not two.y.labels, "the other half is taken back")


async def withdrawn(two: Clusters) -> None:
    await two.y.say_services("mail")
    await until(lambda: [one.service.name for one in two.a.peers.imports()] == ["mail"], "withdrawn there too")
    await decide(two.b, api.AnswerPeer("ay", True, ()))
    await until(lambda: not two.a.peers.imports(), "exported no more")
    await decide(two.b, api.AnswerPeer("ay", True, ("mail",)))
    await until(lambda: [*two.a.peers.imports()], "and again")


async def all_gone(two: Clusters) -> None:
    """With a session that stands."""
    begun = await two.begin("mail")
    assert isinstance(begun, asks.Begun)
    assert await two.open(begun, "mail") == asks.Opened()
    await decide(two.b, api.Unpeer("ay"))
    await until(lambda: not two.x.labels and not two.y.labels, "labels are gone")
    await until(lambda: not two.a.peers.imports() and not two.x.borders and not two.y.borders, "all is gone")
    assert "is not in this network" in told(await two.begin("mail"))


def replace(half: said.Half, **more: object) -> said.Half:
    return msgspec.structs.replace(half, **more)


def request_of(two: Clusters, half: said.Half) -> asks.SessionRequest:
    return asks.SessionRequest(two.x.id, two.y.id, half.service, half.routes, bytes(asks.CHALLENGE_BYTES))


def told(answer: object) -> str:
    assert isinstance(answer, asks.Refused | said.Refused), answer
    return answer.why
