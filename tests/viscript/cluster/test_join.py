"""A board whose cluster cannot be as its file says still answers, and says why."""

from __future__ import annotations

import asyncio
import json
import socket
from pathlib import Path

import pytest

from tests.viscript.cluster.peers import STATUS
from tests.viscript.daemon import run_daemon
from viscript.api.model import Nodes, Request, Result
from viscript.cluster.join import join


async def answer(_request: Request) -> Result:
    return STATUS


def ask_nodes(path: Path | None) -> tuple[Nodes, str]:
    async def main() -> tuple[Nodes, str]:
        async with join(path, answer) as cluster:
            return await cluster.nodes(), cluster.trouble

    return asyncio.run(main())


def test_no_file_is_no_trouble(tmp_path: Path) -> None:
    for path in (None, tmp_path / "cluster.yaml"):
        nodes, trouble = ask_nodes(path)
        (here,) = nodes.nodes
        assert (here.status, here.address, trouble) == (STATUS, "", "")


@pytest.mark.parametrize("text", ["name: [", "name: all", "listen: 1"])
def test_a_broken_file_is_told(tmp_path: Path, text: str) -> None:
    path = tmp_path / "cluster.yaml"
    path.write_text(text)
    _, trouble = ask_nodes(path)
    assert trouble.startswith(f"{path}:1:")


def test_whoever_asks_for_the_status_is_told(tmp_path: Path) -> None:
    (tmp_path / "cluster.yaml").write_text("name: all")
    with run_daemon(tmp_path) as daemon:
        shown = daemon.say("status")
        (here,) = json.loads(daemon.say("nodes", "--json"))["nodes"]
    told = f"{tmp_path}/cluster.yaml:1: key 'name'"
    assert f"Trouble   {told}" in shown
    assert here["status"]["trouble"].startswith(told)


def test_a_taken_port_is_told(tmp_path: Path) -> None:
    path = tmp_path / "cluster.yaml"
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        path.write_text(f'name: pi-1\nlisten: "127.0.0.1:{port}"\noperators: ["127.0.0.2"]\n')
        nodes, trouble = ask_nodes(path)
    (here,) = nodes.nodes
    assert (here.name, here.address) == ("pi-1", f"127.0.0.1:{port}")
    assert "cannot listen for boards" in trouble
