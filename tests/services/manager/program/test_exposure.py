"""When the join port is open to the world outside the mesh: never without a reason that somebody can name."""

import asyncio
from pathlib import Path

from services.keys import Identity, new_seed
from services.manager import api_words as words
from services.manager.config import Join
from services.manager.manager import Manager
from tests.fakes.local_node import FakeLocalNode
from tests.services.manager.engine.rack import needs_server, until
from tests.services.manager.program.ends import Node, run, running_manager

pytestmark = needs_server

INVITED = Join(listen="127.0.0.1:0", admit="invited")


def open_ports(fake: FakeLocalNode) -> set[str]:
    return {port for ports in fake.outside.values() for port in ports}


def own_port(manager: Manager) -> set[str]:
    return {f"tcp/{manager.door.port}"}


def test_a_network_of_one_lets_nobody_knock_until_somebody_is_invited(tmp_path: Path) -> None:
    async def test() -> None:
        async with running_manager(tmp_path, INVITED) as (manager, fake):
            assert (manager.exposure.why, open_ports(fake)) == ("", set())
            invited = await manager.office.handle(words.Invite(60, 1))
            assert isinstance(invited, words.Invited)
            assert open_ports(fake) == own_port(manager), "open before the invitation is handed out"
            node = Node(Identity(new_seed()))
            await node.join(manager.door.port, invited.token)
            await until(lambda: manager.exposure.why == "nodes are members", "the member is known")
            assert open_ports(fake) == own_port(manager)
            before = set(fake.outside)
            await fake.forget()
            await until(lambda: bool(set(fake.outside) - before), "it is opened anew")
            assert open_ports(fake) == own_port(manager)
            await manager.office.handle(words.Expel(node.id))
            await until(lambda: not open_ports(fake), "it is shut")
            assert manager.exposure.why == ""

    run(test())


def test_a_pairing_opens_it_for_its_time(tmp_path: Path) -> None:
    async def test() -> None:
        async with running_manager(tmp_path, INVITED) as (manager, fake):
            await manager.office.handle(words.Pair(1))
            assert manager.exposure.why == "a pairing goes on"
            assert open_ports(fake) == own_port(manager)
            await until(lambda: not open_ports(fake), "it is shut")

    run(test())


def test_it_is_open_where_nodes_may_come_by_name_or_freely(tmp_path: Path) -> None:
    async def test() -> None:
        async with running_manager(tmp_path / "a", INVITED) as (manager, fake):
            await manager.office.handle(words.Admit(Identity(new_seed()).node_id))
            assert open_ports(fake) == own_port(manager)
        assert open_ports(fake) == set()
        free = Join(listen="127.0.0.1:0", admit="open")
        async with running_manager(tmp_path / "b", free) as (manager, fake):
            assert open_ports(fake) == own_port(manager)

    for name in "ab":
        (tmp_path / name).mkdir()
    run(asyncio.wait_for(test(), 60))
