"""Sessions from both ends, with a manager between them that may lie. No kernel: what is wanted of it is looked at."""

from __future__ import annotations

import asyncio
from ipaddress import IPv6Network
from pathlib import Path

import pytest

from services.addresses import session_address
from services.kernel.model import SESSIONS, AllowedIp, Element, Endpoint, Peer, Route, granted, outer
from services.keys import session_key
from services.manager.asks import SESSION, SessionOffer
from services.manager.routes.policy import Metric, Policy
from services.node import sessions as module
from services.node.api_words import Publish
from services.node.errors import NodeError, RefusedError, SessionError
from services.node.paths import LOST_IN_A_ROW
from services.node.session_words import inner_mtu
from tests.services.node.between import CLUSTER, RELAYS, Manager, Node, run, until


def expected(me: Node, other: Node, endpoint: Endpoint | None, outers: set[Element], mtu: int) -> set[object]:
    key, there = session_key(other.node_id), session_address(other.node_id)
    return {
        Peer(SESSIONS, key, endpoint),
        AllowedIp(SESSIONS, IPv6Network(there), key),
        Route(IPv6Network(there), SESSIONS, source=session_address(me.node_id), mtu=mtu),
        granted(there, "udp", 51822),
        *outers,
    }


@pytest.mark.parametrize(("path", "inner"), [(1420, 1328), (1450, 1360), (1280, 1200)])
def test_what_is_inside_fits_in_whole_blocks(path: int, inner: int) -> None:
    assert inner_mtu(path) == inner
    assert inner % 16 == 0
    assert inner + 80 <= path < inner + 80 + 16


def test_a_session_is_opened_at_both_ends(tmp_path: Path) -> None:
    async def test(_: Manager, a: Node, b: Node) -> None:
        session = await a.sessions.connect(b.node_id, "web", Policy())
        first, second = session.routes
        assert session.active == first
        far = session.far(first)
        assert a.facts(session.owner) == expected(a, b, Endpoint(far, 51821), {outer(far)}, 1328)
        (there,) = b.sessions.words
        assert not there.is_initiator
        both = {outer(session.near(first)), outer(session.near(second))}
        assert b.facts(f"session:{a.node_id}") == expected(b, a, None, both, 1328)
        assert a.labels.kept == b.labels.kept == {first, second}

    run(tmp_path, test)


def test_there_is_one_session_of_a_pair(tmp_path: Path) -> None:
    async def test(manager: Manager, a: Node, b: Node) -> None:
        first = await a.sessions.connect(b.node_id, "web", Policy())
        again = await a.sessions.connect(b.node_id, "other", Policy())
        assert again.routes == first.routes
        assert again.services == ("web", "other")
        back = await b.sessions.connect(a.node_id, "web", Policy())
        assert back.routes == first.routes
        assert len(manager.requests) == 1

    run(tmp_path, test)


def test_many_at_once_open_one(tmp_path: Path) -> None:
    async def test(manager: Manager, a: Node, b: Node) -> None:
        found = await asyncio.gather(*(a.sessions.connect(b.node_id, "web", Policy()) for _ in range(10)))
        assert len({session.routes for session in found}) == 1
        assert len(manager.requests) == 1

    run(tmp_path, test)


def test_of_two_that_open_at_once_the_lower_id_is_initiator(tmp_path: Path) -> None:
    async def test(manager: Manager, a: Node, b: Node) -> None:
        both = asyncio.Barrier(2)

        async def meet() -> None:
            await both.wait()

        manager.on_open = meet
        ours, theirs = await asyncio.gather(
            a.sessions.connect(b.node_id, "web", Policy()), b.sessions.connect(a.node_id, "web", Policy())
        )
        assert ours.is_initiator
        assert not theirs.is_initiator
        assert set(ours.routes) == set(theirs.routes)

    run(tmp_path, test)


# policies


def test_a_stricter_wish_opens_the_session_anew(tmp_path: Path) -> None:
    async def test(manager: Manager, a: Node, b: Node) -> None:
        first = await a.sessions.connect(b.node_id, "web", Policy())
        second = await a.sessions.connect(b.node_id, "web", Policy(hops_at_least=2))
        assert not set(first.routes) & set(second.routes)
        await until(lambda: set(first.routes) <= set(manager.closed))
        third = await a.sessions.connect(b.node_id, "web", Policy(metric=Metric.PRICE))
        assert (third.policy.hops_at_least, third.policy.metric) == (2, Metric.PRICE)

    run(tmp_path, test)


def test_wishes_that_exclude_each_other_are_refused_by_name(tmp_path: Path) -> None:
    async def test(manager: Manager, a: Node, b: Node) -> None:
        await a.sessions.connect(b.node_id, "web", Policy(metric=Metric.PRICE))
        with pytest.raises(SessionError, match="metric 'latency' and metric 'price'"):
            await a.sessions.connect(b.node_id, "web", Policy(metric=Metric.LATENCY))
        with pytest.raises(SessionError, match="metric 'latency' and metric 'price'"):
            await b.sessions.connect(a.node_id, "web", Policy(metric=Metric.LATENCY))
        assert len(manager.requests) == 1

    run(tmp_path, test)


def test_a_stricter_wish_of_the_responder_makes_it_the_initiator(tmp_path: Path) -> None:
    async def test(manager: Manager, a: Node, b: Node) -> None:
        first = await a.sessions.connect(b.node_id, "web", Policy(hops_at_least=2))
        second = await b.sessions.connect(a.node_id, "web", Policy(hops_at_most=4))
        assert second.is_initiator
        assert (second.policy.hops_at_least, second.policy.hops_at_most) == (2, 4)
        (there,) = a.sessions.words
        assert not there.is_initiator
        await until(lambda: set(first.routes) <= set(manager.closed))

    run(tmp_path, test)


def test_a_laxer_request_for_a_stricter_session_is_refused(tmp_path: Path) -> None:
    """The other end has forgotten what was agreed on."""

    async def test(_: Manager, a: Node, b: Node) -> None:
        await a.sessions.connect(b.node_id, "web", Policy(hops_at_least=2))
        await b.sessions._forget(a.node_id)
        with pytest.raises(RefusedError, match="stricter policy"):
            await b.sessions.connect(a.node_id, "web", Policy())
        assert a.sessions.words[0].is_initiator

    run(tmp_path, test)


# access and caps


def test_who_is_not_on_the_list_gets_nothing(tmp_path: Path) -> None:
    async def test(_: Manager, a: Node, b: Node) -> None:
        await b.publisher.publish(Publish("secret", 9000, (RELAYS[0],)))
        with pytest.raises(RefusedError, match="not open to node"):
            await a.sessions.connect(b.node_id, "secret", Policy())
        with pytest.raises(RefusedError, match="offers no service"):
            await a.sessions.connect(b.node_id, "nothing", Policy())
        assert a.sessions.count == b.sessions.count == 0
        assert b.troubles.list()

    run(tmp_path, test)


def test_members_of_a_cluster_reach_its_services(tmp_path: Path) -> None:
    async def test(_: Manager, a: Node, b: Node) -> None:
        await b.publisher.publish(Publish("club", 9000, (f"cluster:{CLUSTER}",)))
        may = granted(session_address(a.node_id), "tcp", 9000)
        assert may not in b.facts("service:club")
        await a.sessions.connect(b.node_id, "club", Policy())
        assert may in b.facts("service:club")
        await b.sessions.close_with(a.node_id)
        assert may not in b.facts("service:club")

    run(tmp_path, test)


def test_more_sessions_than_the_cap_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_SESSIONS", 2)

    async def test(manager: Manager, a: Node, b: Node) -> None:
        others = [await Node(manager, tmp_path).start() for _ in range(3)]
        for other in others[:2]:
            await other.sessions.connect(b.node_id, "web", Policy())
        with pytest.raises(RefusedError, match="as many sessions as it takes"):
            await others[2].sessions.connect(b.node_id, "web", Policy())
        assert b.sessions.count == 2
        with pytest.raises(SessionError, match="close one"):
            await b.sessions.connect(a.node_id, "web", Policy())
        await others[0].sessions.connect(b.node_id, "web", Policy(hops_at_least=2))
        assert b.sessions.count == 2

    run(tmp_path, test)


def test_a_replayed_offer_changes_nothing(tmp_path: Path) -> None:
    async def test(manager: Manager, a: Node, b: Node) -> None:
        await a.sessions.connect(b.node_id, "web", Policy())
        await b.sessions.close_with(a.node_id)
        reply = await b.home.order(SESSION, manager.requests[0])
        assert "a replay" in reply.why
        assert b.sessions.count == 0
        assert b.facts(f"session:{a.node_id}") == set()

    run(tmp_path, test)


def test_an_offer_that_is_none_gets_a_reason(tmp_path: Path) -> None:
    async def test(_: Manager, a: Node, b: Node) -> None:
        assert "not understood" in (await b.home.order(SESSION, {"request": 7})).why
        assert (await b.home.order(SESSION, SessionOffer(b"{}"))).why
        assert a.sessions.count == b.sessions.count == 0

    run(tmp_path, test)


# ends


def test_a_restart_wants_of_the_kernel_what_it_has(tmp_path: Path) -> None:
    async def test(_: Manager, a: Node, b: Node) -> None:
        session = await a.sessions.connect(b.node_id, "web", Policy())
        before = [node.book._wanted for node in (a, b)]
        a, b = [await node.again() for node in (a, b)]
        assert [node.book._wanted for node in (a, b)] == before
        assert a.sessions.words == (session,)
        assert a.sessions.pilot(b.node_id) is not None

    run(tmp_path, test)


def test_what_was_kept_and_makes_no_sense_is_forgotten(tmp_path: Path) -> None:
    async def test(_: Manager, a: Node, b: Node) -> None:
        await a.sessions.connect(b.node_id, "web", Policy())
        name = module.FILE + b.node_id
        (a.folder / f"{name}.json").write_text('{"node_id": "x"}')
        a = await a.again()
        assert a.sessions.count == 0
        assert a.kept.names(module.FILE) == []

    run(tmp_path, test)


def test_closing_leaves_nothing(tmp_path: Path) -> None:
    async def test(manager: Manager, a: Node, b: Node) -> None:
        session = await a.sessions.connect(b.node_id, "web", Policy())
        await a.sessions.close_with(b.node_id)
        assert a.facts(session.owner) == set()
        await until(lambda: set(session.routes) == set(manager.closed))
        assert a.prober._known == {}
        assert a.kept.names(module.FILE) == []
        with pytest.raises(SessionError, match="no session"):
            await a.sessions.close_with(b.node_id)

    run(tmp_path, test)


def test_the_expelled_have_no_session(tmp_path: Path) -> None:
    async def test(_: Manager, a: Node, b: Node) -> None:
        await a.sessions.connect(b.node_id, "web", Policy())
        for node, other in ((a, b), (b, a)):
            for handler in node.home.expelled:
                await handler(other.node_id)
            assert node.sessions.count == 0
            assert node.facts(f"session:{other.node_id}") == set()

    run(tmp_path, test)


def test_a_dead_session_with_a_manager_is_not_in_the_way(tmp_path: Path) -> None:
    """The manager's own packets would go the same dead way, and nobody could be asked for another."""

    async def test(_: Manager, a: Node, b: Node) -> None:
        await a.sessions.connect(b.node_id, "web", Policy())
        await a.sessions.free(b.node_id)
        pilot = a.sessions.pilot(b.node_id)
        assert pilot is not None
        first, *others = pilot.paths.ways.values()
        for way in others:
            way.missed = [0.0] * LOST_IN_A_ROW
        await a.sessions.free(b.node_id)
        assert a.sessions.count == 1
        first.missed = [0.0] * LOST_IN_A_ROW
        await a.sessions.free(b.node_id)
        assert (a.sessions.count, a.facts(f"session:{b.node_id}")) == (0, set())

    run(tmp_path, test)


def test_nobody_has_a_session_with_itself(tmp_path: Path) -> None:
    async def test(_: Manager, a: Node, b: Node) -> None:
        assert b.sessions.count == 0
        with pytest.raises(NodeError, match="no session with itself"):
            await a.sessions.connect(a.node_id, "web", Policy())

    run(tmp_path, test)


def test_a_standby_is_added_to_the_session_that_goes_on(tmp_path: Path) -> None:
    """The pilot asks for it; the other end takes it beside what it has, and forgets no keys."""

    async def test(manager: Manager, a: Node, b: Node) -> None:
        manager.relays = 1
        session = await a.sessions.connect(b.node_id, "web", Policy())
        assert len(session.routes) == 1
        manager.relays = 2
        pilot = a.sessions.pilot(b.node_id)
        assert pilot is not None
        await pilot._find_standby()
        assert len(a.sessions.words[0].routes) == len(b.sessions.words[0].routes) == 2
        assert a.sessions.words[0].active == session.active
        assert a.sessions.words[0].ways[1].nodes[1] == RELAYS[1]
        assert b.sessions.words[0].opened_unix_s <= a.sessions.words[0].opened_unix_s
        outers = {outer(b.sessions.words[0].far(route)) for route in a.sessions.words[0].routes}
        assert outers <= b.facts(f"session:{a.node_id}")

    run(tmp_path, test)
