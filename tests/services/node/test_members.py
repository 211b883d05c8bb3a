"""Whom the manager beside a node lets in: what is wanted of the kernel for it, and what stays after a restart."""

from __future__ import annotations

import asyncio
from ipaddress import IPv4Address, IPv6Network
from pathlib import Path

import pytest

from services.addresses import session_address
from services.kernel import rules
from services.kernel.model import SESSIONS, AllowedIp, Endpoint, Peer, granted, outer
from services.keys import Identity, new_seed, session_key
from services.node.api_words import ManagerPeer, Member, Publish
from services.node.errors import MemberError
from services.node.members import Members
from services.node.own import own_facts
from tests.services.node.between import Manager, Node

WHO = Identity(new_seed()).node_id
THERE, KEY = session_address(WHO), session_key(WHO)
PLACE = "192.0.2.7"


async def beside(folder: Path, identity: Identity | None = None) -> tuple[Node, Members]:
    node = Node(Manager(), folder, identity)
    await node.book.set("own", own_facts(node.identity, rules.Settings()))
    return node, Members(node.node_id, 51822, node.book, node.prober, node.kept, node.publisher)


def facts(peer: Peer, ports: tuple[int, ...], *places: str) -> set[object]:
    return {
        peer,
        AllowedIp(SESSIONS, IPv6Network(THERE), KEY),
        granted(THERE, "udp", 51822),
        *(granted(THERE, "tcp", port) for port in ports),
        *(outer(IPv4Address(place)) for place in places),
    }


def test_a_member_may_reach_the_bus(tmp_path: Path) -> None:
    async def go() -> None:
        node, members = await beside(tmp_path)
        await members.take(Member(WHO, (PLACE, "192.0.2.8")))
        assert node.facts(f"member:{WHO}") == facts(Peer(SESSIONS, KEY), (4222,), PLACE, "192.0.2.8")
        await members.take(Member(WHO, (PLACE,), renew=True))
        assert node.facts(f"member:{WHO}") == facts(Peer(SESSIONS, KEY), (4222,), PLACE)
        await members.drop(WHO)
        await members.drop(WHO)
        assert node.facts(f"member:{WHO}") == set()
        assert node.prober._known == {}
        assert members.ids == ()

    asyncio.run(go())


def test_another_manager_may_reach_more_and_is_called(tmp_path: Path) -> None:
    async def go() -> None:
        node, members = await beside(tmp_path)
        await members.take(ManagerPeer(WHO, f"{PLACE}:51821"))
        peer = Peer(SESSIONS, KEY, Endpoint(IPv4Address(PLACE), 51821), 25)
        assert node.facts(f"member:{WHO}") == facts(peer, (4222, 6222), PLACE)
        await members.take(Member(WHO, (PLACE, "192.0.2.8")))
        assert node.facts(f"member:{WHO}") == facts(peer, (4222, 6222), PLACE, "192.0.2.8")

    asyncio.run(go())


def test_members_are_of_the_managers_cluster(tmp_path: Path) -> None:
    async def go() -> None:
        node, members = await beside(tmp_path)
        await node.publisher.publish(Publish("club", 9000, (f"cluster:{node.node_id}",)))
        await members.take(Member(WHO, (PLACE,)))
        assert node.facts("service:club") == {granted(THERE, "tcp", 9000)}
        await members.drop(WHO)
        assert node.facts("service:club") == set()

    asyncio.run(go())


def test_a_restart_keeps_them(tmp_path: Path) -> None:
    async def go() -> None:
        node, members = await beside(tmp_path)
        await members.take(Member(WHO, (PLACE,)))
        await members.take(ManagerPeer(Identity(new_seed()).node_id, f"{PLACE}:51821"))
        (node.folder / "member-x.json").write_text("{}")
        again, others = await beside(tmp_path, node.identity)
        await others.restore()
        assert set(others.ids) == set(members.ids)
        assert again.book._wanted == node.book._wanted
        assert len(again.kept.names("member-")) == 2

    asyncio.run(go())


@pytest.mark.parametrize(
    "wrong",
    [
        Member("x", (PLACE,)),
        Member(WHO, ("here",)),
        Member(WHO, (f"{PLACE}:51821",)),
        Member(WHO, tuple(f"192.0.2.{number}" for number in range(40))),
        ManagerPeer(WHO, PLACE),
        ManagerPeer("f" * 64, f"{PLACE}:51821"),
    ],
)
def test_nonsense_lets_nobody_in(tmp_path: Path, wrong: Member | ManagerPeer) -> None:
    async def go() -> None:
        _, members = await beside(tmp_path)
        with pytest.raises(MemberError):
            await members.take(wrong)
        assert members.ids == ()

    asyncio.run(go())


def test_a_node_is_no_member_of_itself(tmp_path: Path) -> None:
    async def go() -> None:
        node, members = await beside(tmp_path)
        with pytest.raises(MemberError, match="manager's own"):
            await members.take(Member(node.node_id, (PLACE,)))

    asyncio.run(go())
