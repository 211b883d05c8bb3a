"""Who gets in at a real door, and how."""

from pathlib import Path

from tests.services.manager.engine.rack import needs_server
from tests.services.manager.program.ends import nodes, run, running_manager

pytestmark = needs_server


def test_a_node_joins_an_open_network(tmp_path: Path) -> None:
    async def test() -> None:
        async with running_manager(tmp_path) as (manager, fake), nodes(manager, 1) as (node,):
            assert node.managers == (manager.me,)
            assert fake.members == {node.id: ("127.0.0.1", "192.0.2.7")}
            assert fake.renewed == [node.id]
            assert node.bus is not None
            assert node.bus.is_connected

    run(test())
