"""What an initiator believes of a manager: routes are checked against what was asked, policy and the first hop; a
direct way is agreed on where the policy permits it, and told by the responder's ear.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

import msgspec
import pytest

from services.addresses import session_address
from services.kernel.model import SESSIONS, Endpoint, Peer, outer
from services.keys import session_key
from services.manager import asks
from services.manager.routes.policy import Policy
from services.node.errors import AwayError, SessionError
from services.node.paths import DIRECT
from services.node.session_words import read_way_note, way_note
from tests.services.node.between import CLUSTER, RELAYS, Manager, Node, run

# a manager that lies to the initiator


def paths(answer: asks.Answer, change: Callable[[asks.Path], asks.Path]) -> asks.Answer:
    assert isinstance(answer, asks.Begun)
    return msgspec.structs.replace(answer, paths=tuple(map(change, answer.paths)))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda path: msgspec.structs.replace(path, route="00" * 12), "nobody asked for"),
        (lambda path: msgspec.structs.replace(path, nodes=path.nodes[::-1]), "between other nodes"),
        (lambda path: msgspec.structs.replace(path, nodes=()), "between other nodes"),
        (lambda path: msgspec.structs.replace(path, nodes=(path.nodes[0], path.nodes[-1])), "the policy forbids"),
        (lambda path: msgspec.structs.replace(path, mtu=60), "the policy forbids"),
        (
            lambda path: msgspec.structs.replace(path, nodes=(path.nodes[0], CLUSTER, path.nodes[-1])),
            "another first hop",
        ),
    ],
)
def test_a_lie_about_a_route_is_refused_and_told(
    tmp_path: Path, change: Callable[[asks.Path], asks.Path], told: str
) -> None:
    async def test(manager: Manager, a: Node, b: Node) -> None:
        manager.lie = lambda answer: paths(answer, change)
        with pytest.raises(SessionError, match=told):
            await a.sessions.connect(b.node_id, "web", Policy(hops_at_least=2))
        assert a.sessions.count == 0
        assert any(told in trouble.what for trouble in a.troubles.list())
        assert a.labels.held == {}

    run(tmp_path, test)


def test_a_route_without_an_own_label_is_none(tmp_path: Path) -> None:
    async def test(manager: Manager, a: Node, b: Node) -> None:
        manager.with_labels = False
        with pytest.raises(SessionError, match="without this node's own label"):
            await a.sessions.connect(b.node_id, "web", Policy())
        assert len(manager.closed) == 2

    run(tmp_path, test)


def test_without_a_manager_nothing_opens_and_what_is_open_stays(tmp_path: Path) -> None:
    async def test(_: Manager, a: Node, b: Node) -> None:
        session = await a.sessions.connect(b.node_id, "web", Policy())
        a.home.is_connected = False
        assert (await a.sessions.connect(b.node_id, "web", Policy())).routes == session.routes
        with pytest.raises(AwayError):
            await a.sessions.connect(RELAYS[0], "web", Policy())

    run(tmp_path, test)


# direct


def test_direct_is_agreed_on_where_the_policy_permits_it(tmp_path: Path) -> None:
    async def test(manager: Manager, a: Node, b: Node) -> None:
        manager.direct = ("192.0.2.2:51821", "127.0.0.1:51821")
        manager.relays = 0
        session = await a.sessions.connect(b.node_id, "web", Policy())
        assert session.active == DIRECT
        assert session.direct == ("192.0.2.2:51821",)
        place = Endpoint(IPv4Address("192.0.2.2"), 51821)
        key = session_key(b.node_id)
        assert {Peer(SESSIONS, key, place, 25), outer(place.address)} <= a.facts(session.owner)
        assert outer(IPv4Address("192.0.2.1")) in b.facts(f"session:{a.node_id}")
        assert session.mtu == 1420

    run(tmp_path, test)


def test_a_policy_that_forbids_it_tells_no_address(tmp_path: Path) -> None:
    async def test(manager: Manager, a: Node, b: Node) -> None:
        manager.direct = ("192.0.2.2:51821",)
        manager.lie = lambda answer: msgspec.structs.replace(answer, direct=manager.direct)
        session = await a.sessions.connect(b.node_id, "web", Policy(hops_at_least=2))
        assert session.direct == ()
        assert b.sessions.words[0].direct == ()

    run(tmp_path, test)


def test_the_responder_hears_which_way_is_taken(tmp_path: Path) -> None:
    async def test(manager: Manager, a: Node, b: Node) -> None:
        manager.direct = ("192.0.2.2:51821",)
        session = await a.sessions.connect(b.node_id, "web", Policy())
        first, second = session.routes
        here = session_address(a.node_id)

        def taken() -> str:
            return b.sessions.words[0].active

        async def hear(note: bytes, who: Node = a, source: IPv6Address = here) -> None:
            assert b.prober.on_note is not None
            b.prober.on_note(who.node_id, source, note)
            await asyncio.sleep(0)
            await asyncio.sleep(0)

        await hear(way_note(second))
        assert taken() == second
        await hear(way_note(DIRECT))
        assert taken() == DIRECT
        assert b.sessions.words[0].mtu == 1420
        await hear(way_note(second), source=session.near(first))
        await hear(way_note("00" * 11 + "01"))
        await hear(b"other")
        await hear(way_note(second), who=b)
        assert taken() == DIRECT
        await hear(way_note(first))
        assert (taken(), b.sessions.words[0].mtu) == (first, 1328)

    run(tmp_path, test)


def test_a_note_of_a_way_is_read_as_written() -> None:
    for route in (DIRECT, "0123456789abcdef01234567"):
        assert read_way_note(way_note(route) + bytes(40)) == route
    assert read_way_note(b"else") is None
