"""A hundred nodes at one manager: they get in at once, have a few neighbours each, and cost little memory."""

import asyncio
import time
from pathlib import Path

import psutil

from services import seed_file
from services.keys import Identity, NodeId, new_seed
from services.manager.neighbours import MOST
from tests.services.manager.engine.rack import needs_server, until
from tests.services.manager.program.ends import Node, run
from tests.services.manager.program.test_cluster import START_WITHIN_S, Process

pytestmark = needs_server

COUNT = 100
MAX_MANAGER, MAX_SERVER = 60 << 20, 30 << 20


def test_a_hundred_nodes(tmp_path: Path) -> None:
    async def test() -> None:
        seed_file.create(tmp_path / "secret", new_seed())
        process = Process(tmp_path / "0")
        await process.start(tmp_path / "secret", [])
        nodes = {node.id: node for node in (Node(Identity(new_seed())) for _ in range(COUNT))}
        try:
            await until(lambda: process.port > 0 and process.leads, "the manager leads", START_WITHIN_S)
            started = time.monotonic()
            for number, node in enumerate(nodes.values()):
                await node.connect(await node.join(process.port, source=f"127.1.0.{number + 1}"))
            print(f"{COUNT} nodes joined in {time.monotonic() - started:.1f} s")
            await until(lambda: are_joined(nodes), "everyone has neighbours, who have it", START_WITHIN_S)
            for node in nodes.values():
                await node.say_links(*(nodes[other] for other in node.neighbours if other in nodes))
                await node.say_services("socks")
            await until_links(process, sum(len(node.neighbours) - 1 for node in nodes.values()) // 2)
            check_memory(process)
        finally:
            await asyncio.gather(*(node.close() for node in nodes.values()))
            await process.kill()

    run(test())


def are_joined(nodes: dict[NodeId, Node]) -> bool:
    for node in nodes.values():
        others = [nodes[other] for other in node.neighbours if other in nodes]
        if not MOST // 2 < len(others) <= MOST or any(node.id not in other.neighbours for other in others):
            return False
    return True


async def until_links(process: Process, count: int) -> None:
    give_up = time.monotonic() + START_WITHIN_S
    while (status := await process.command("status"))["links"] != count:
        assert time.monotonic() < give_up, status
        await asyncio.sleep(0.2)
    assert status["summary"] == f"leads: {COUNT + 1} nodes, {count} links, 0 routes"
    assert len((await process.command("nodes"))["nodes"]) == COUNT + 1
    assert len((await process.command("services"))["services"]) == COUNT


def check_memory(process: Process) -> None:
    manager, server = (psutil.Process(pid).memory_info().rss for pid in (process.process.pid, process.server_pid))
    print(f"RSS with {COUNT} nodes: manager {manager / 2**20:.1f} MiB, nats-server {server / 2**20:.1f} MiB")
    assert manager < MAX_MANAGER
    assert server < MAX_SERVER
