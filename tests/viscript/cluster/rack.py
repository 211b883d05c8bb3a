"""Boards with a network of their own: real daemons in network namespaces, joined by a veth pair."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.viscript.daemon import Daemon
from tests.viscript.launcher.backends import wait_until

ADDRESSES = {"pi-1": "fd53::1", "pi-2": "fd53::2"}
PORT = 7998
NEEDS_NETWORK = pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("ip") is None, reason="needs root and iproute2 to make network namespaces"
)


def ip(*words: str) -> None:
    done = subprocess.run(["ip", *words], capture_output=True, text=True, check=False, timeout=30)
    assert done.returncode == 0, f"ip {' '.join(words)}: {done.stderr}"


class Network:
    """A namespace for each of `ADDRESSES`; names are of this run, so that two runs do not meet."""

    def __init__(self) -> None:
        mark = uuid.uuid4().hex[:6]
        self.namespaces = {name: f"vs{mark}-{name}" for name in ADDRESSES}
        self._made: list[str] = []

    def make(self) -> None:
        first, second = self.namespaces.values()
        for namespace in (first, second):
            ip("netns", "add", namespace)
            self._made.append(namespace)
            ip("-n", namespace, "link", "set", "lo", "up")
        ip("-n", first, "link", "add", "mesh", "type", "veth", "peer", "name", "mesh", "netns", second)
        for name, address in ADDRESSES.items():
            ip("-n", self.namespaces[name], "addr", "add", f"{address}/64", "dev", "mesh", "nodad")
            ip("-n", self.namespaces[name], "link", "set", "mesh", "up")
        wait_until(lambda: self.reaches("pi-1", "pi-2"))

    def set_link(self, name: str, state: str) -> None:
        ip("-n", self.namespaces[name], "link", "set", "mesh", state)
        if state == "up":  # a link that went down has lost its addresses
            ip("-n", self.namespaces[name], "addr", "replace", f"{ADDRESSES[name]}/64", "dev", "mesh", "nodad")

    def reaches(self, name: str, other: str) -> bool:
        """Whether a SYN is answered, be it by a refusal."""
        probe = (
            "import socket, sys\ns = socket.socket(socket.AF_INET6); s.settimeout(1)\n"
            "try: s.connect((sys.argv[1], 9))\nexcept ConnectionRefusedError: pass\n"
        )
        words = ["ip", "netns", "exec", self.namespaces[name], sys.executable, "-c", probe, ADDRESSES[other]]
        return subprocess.run(words, capture_output=True, check=False, timeout=30).returncode == 0

    def remove(self) -> None:
        for namespace in self._made:
            ip("netns", "del", namespace)


class Board(Daemon):
    """A daemon in a namespace; the shell on it needs none, since it talks to the socket's file."""

    def __init__(self, directory: Path, namespace: str, cluster: str) -> None:
        directory.mkdir()
        super().__init__(directory)
        self._namespace = namespace
        (directory / "cluster.yaml").write_text(cluster)

    def command(self) -> list[str]:
        return ["ip", "netns", "exec", self._namespace, *super().command()]

    def arguments(self) -> list[str]:
        return [*super().arguments(), "--cluster", str(self.directory / "cluster.yaml")]


def describe(name: str, *operators: str) -> str:
    nodes = {node: f"[{address}]:{PORT}" for node, address in ADDRESSES.items()}
    listen = nodes[name]
    return json.dumps({"name": name, "listen": listen, "operators": operators, "nodes": nodes})  # YAML includes JSON


class Rack:
    """Two boards; `pi-1` commands `pi-2`, and not the other way round."""

    def __init__(self, directory: Path) -> None:
        self.network = Network()
        places = self.network.namespaces
        self.operator = Board(directory / "pi-1", places["pi-1"], describe("pi-1"))
        self.other = Board(directory / "pi-2", places["pi-2"], describe("pi-2", ADDRESSES["pi-1"]))


@contextlib.contextmanager
def run_rack(directory: Path) -> Iterator[Rack]:
    rack = Rack(directory)
    try:
        rack.network.make()
        for board in (rack.operator, rack.other):
            board.start()
        yield rack
    finally:
        for board in (rack.operator, rack.other):
            board.end_everything()
        rack.network.remove()
