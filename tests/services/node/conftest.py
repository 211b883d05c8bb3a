"""Nodes for the tests of this folder, taken away whatever happens."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.services.kernel.conftest import MakeHost, make_host, swept
from tests.services.kernel.hosts import joined
from tests.services.node.world import Node

MakeNodes = Callable[..., list[Node]]

__all__ = ["make_host", "make_nodes", "swept"]


@pytest.fixture
def make_nodes(make_host: MakeHost, tmp_path: Path) -> Iterator[MakeNodes]:
    """Nodes on a common underlay, each on a network of its own behind one router: 10.0.<its place, from 1>.1."""
    with ExitStack() as stack:

        def make(names: str, more: str = "") -> list[Node]:
            tmp_path.chmod(0o700)
            hosts = [make_host(name) for name in names]
            joined(make_host("router"), *hosts)
            nodes = [
                Node(host, tmp_path / name, f"10.0.{place}.1", more)
                for place, (name, host) in enumerate(zip(names, hosts, strict=True), 1)
            ]
            for node in nodes:
                stack.callback(_end, node)
            return nodes

        yield make


def _end(node: Node) -> None:
    with contextlib.suppress(AssertionError, ProcessLookupError):
        node.kill()
