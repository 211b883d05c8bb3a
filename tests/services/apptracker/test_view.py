"""The mesh's services beside what is registered: by name, by type, all; and what is left where the node is away."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from services.apptracker.brain import Directory
from services.apptracker.model import Entries, Entry, Query
from services.apptracker.server import TrackerServer
from services.apptracker.view import KEPT_S, MOST_FOUND, MeshView
from services.keys import NodeId
from services.node.api_words import ServiceState
from tests.fakes.local_node import FakeLocalNode
from tests.services.apptracker.test_server import exchange

ME, OTHER = NodeId("31" * 32), NodeId("5a" * 32)
VPN = ServiceState(OTHER, "vpn", "fd53::5a", 4443, labels=("country=de",))
SOCKS = ServiceState(OTHER, "socks", "fd53::5a", 1080)
TREE = Path(__file__).parents[3]


class Ends:
    def __init__(self, node: FakeLocalNode, view: MeshView, address: tuple[str, int]) -> None:
        self.node, self.view, self.now_s, self.address = node, view, 0.0, address

    async def ask(self, line: str) -> list[str]:
        return (await exchange(*self.address, f"{line}\n".encode())).decode().splitlines()


def run_view(folder: Path, work: Callable[[Ends], Awaitable[None]]) -> None:
    async def main() -> None:
        node = FakeLocalNode(folder / "node.sock", ME)
        node.offered = (VPN, SOCKS)
        await node.start()
        ends: list[Ends] = []
        view = MeshView(node.path, lambda: ends[0].now_s)
        server = TrackerServer(Directory(lambda: "lease"), view)
        ends.append(Ends(node, view, await server.start("127.0.0.1", 0)))
        try:
            async with asyncio.timeout(30):
                await work(ends[0])
        finally:
            await server.close()
            await node.stop()

    asyncio.run(main())


def test_both_are_found_by_name_by_type_and_all(tmp_path: Path) -> None:
    async def work(ends: Ends) -> None:
        await ends.ask('{"do":"register","name":"camera","type":"vpn","endpoint":"192.0.2.7:554"}')
        camera = "camera vpn 192.0.2.7:554 - 60 here"
        vpn, socks = f"vpn vpn [fd53::5a]:4443 {OTHER} 2 mesh", f"socks socks [fd53::5a]:1080 {OTHER} 2 mesh"
        assert await ends.ask("all") == [camera, socks, vpn, ""]
        assert await ends.ask("type vpn") == [camera, vpn, ""]
        assert await ends.ask("name vpn") == [vpn, ""]
        assert await ends.ask("name nobody") == [""]
        (line,) = await ends.ask('{"do":"query","name":"vpn","type":"vpn"}')
        (entry,) = json.loads(line)["entries"]
        assert (entry["node_id"], entry["labels"], entry["source"]) == (OTHER, ["country=de"], "mesh")
        assert json.loads((await ends.ask('{"do":"query","name":"vpn","type":"socks"}'))[0])["entries"] == []

    run_view(tmp_path, work)


def test_many_askers_cost_one_question_and_what_is_gone_goes(tmp_path: Path) -> None:
    async def work(ends: Ends) -> None:
        for _ in range(5):
            assert len(await ends.ask("all")) == 3
            assert len(await ends.ask("type vpn")) == 2
        assert await ends.ask("name no\\such") == [""]
        assert ends.node.finds == 1
        ends.node.offered = (VPN,)
        ends.now_s = KEPT_S
        assert len(await ends.ask("all")) == 2

    run_view(tmp_path, work)


def test_where_the_manager_does_not_tell_all_at_once_a_name_is_asked_for(tmp_path: Path) -> None:
    async def work(ends: Ends) -> None:
        ends.node.offered = tuple(ServiceState(OTHER, f"s{number}", "fd53::5a", 1) for number in range(MOST_FOUND))
        said = await ends.ask("all")
        assert said[-2] == "# and more: ask for one name"
        assert len(await ends.ask("name s7")) == 2
        assert ends.node.finds == 2

    run_view(tmp_path, work)


def test_without_a_node_it_is_a_directory_still_and_says_so(tmp_path: Path) -> None:
    async def work(ends: Ends) -> None:
        await ends.node.stop()
        await ends.ask('{"do":"register","name":"camera","endpoint":"192.0.2.7:554"}')
        said = await ends.ask("all")
        assert said[0] == "camera - 192.0.2.7:554 - 60 here"
        assert said[1].startswith("# without the mesh: no node answers at")
        assert (await ends.view.beside(Entries((), away=""), Query())).away.startswith("no node answers")
        await ends.node.start()
        ends.now_s = KEPT_S
        assert len(await ends.ask("all")) == 4

    run_view(tmp_path, work)


def test_a_query_for_two_things_asks_nobody(tmp_path: Path) -> None:
    async def work(ends: Ends) -> None:
        here = Entries((Entry("a", "b:1", "", 1.0),))
        assert await ends.view.beside(here, Query(name="a", type="b")) == here
        assert ends.node.finds == 0

    run_view(tmp_path, work)


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--type", "vpn"], 2, "NAME and --type go with --query or --register"),
        (["--query", "--alone"], 2, "only a directory that is served"),
        (["127.0.0.1:1", "--query"], 1, "no tracker answers at 127.0.0.1:1"),
        (["nowhere", "--query"], 1, "address 'nowhere' is not of the form host:port"),
    ],
)
def test_what_is_asked_wrongly(words: list[str], code: int, said: str) -> None:
    argv = [sys.executable, "-m", "services.apptracker", *words]
    done = subprocess.run(argv, cwd=TREE, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == code
    assert said in " ".join(done.stderr.split())
