"""A board whose cluster cannot be as its file says still answers, and says why."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import pytest

from tests.viscript.cluster.peers import STATUS
from viscript.api.model import Nodes, Request, Result
from viscript.cluster.join import join


async def answer(_request: Request) -> Result:
    return STATUS


def ask_nodes(path: Path | None) -> Nodes:
    async def main() -> Nodes:
        async with join(path, answer) as cluster:
            return await cluster.nodes()

    return asyncio.run(main())


def test_no_file_is_no_trouble(tmp_path: Path) -> None:
    for path in (None, tmp_path / "cluster.yaml"):
        (here,) = ask_nodes(path).nodes
        assert (here.status, here.address) == (STATUS, "")


@pytest.mark.parametrize("text", ["name: [", "name: all", "listen: 1"])
def test_a_broken_file_is_told(tmp_path: Path, text: str) -> None:
    path = tmp_path / "cluster.yaml"
    path.write_text(text)
    (here,) = ask_nodes(path).nodes
    assert here.status is not None
    assert here.status.trouble.startswith(f"{path}:1:")


def test_a_taken_port_is_told(tmp_path: Path) -> None:
    path = tmp_path / "cluster.yaml"
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        path.write_text(f'name: pi-1\nlisten: "127.0.0.1:{port}"\noperators: ["127.0.0.2"]\n')
        (here,) = ask_nodes(path).nodes
    assert (here.name, here.address) == ("pi-1", f"127.0.0.1:{port}")
    assert here.status is not None
    assert "cannot listen for boards" in here.status.trouble
