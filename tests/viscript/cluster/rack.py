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
from typing import Self

import pytest

from tests.viscript.daemon import Daemon
from tests.viscript.launcher.backends import wait_until

ADDRESSES = {"pi-1": "fd53::1", "pi-2": "fd53::2"}
PORT = 7998
NEEDS_NETWORK = pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("ip") is None, reason="needs root and iproute2 to make network namespaces"
)


class Namespace:
    """A network of its own, as a context; its name is of this run, so that two runs do not meet."""

    def __init__(self, label: str) -> None:
        self.name = f"vs{uuid.uuid4().hex[:6]}-{label}"

    def __enter__(self) -> Self:
        ip("netns", "add", self.name)
        self.ip("link", "set", "lo", "up")
        return self

    def __exit__(self, *_: object) -> None:
        ip("netns", "del", self.name)

    def ip(self, *words: str) -> None:
        ip("-n", self.name, *words)

    def inside(self) -> list[str]:
        """What a command begins with to run in here."""
        return ["ip", "netns", "exec", self.name]

    def reaches(self, address: str) -> bool:
        """Whether somebody is there, be it one who refuses."""
        probe = (
            "import socket, sys\ns = socket.socket(socket.AF_INET6); s.settimeout(1)\n"
            "try: s.connect((sys.argv[1], 9))\nexcept ConnectionRefusedError: pass\n"
        )
        words = [*self.inside(), sys.executable, "-c", probe, address]
        return subprocess.run(words, capture_output=True, check=False, timeout=30).returncode == 0


def ip(*words: str) -> None:
    done = subprocess.run(["ip", *words], capture_output=True, text=True, check=False, timeout=30)
    if done.returncode != 0:
        raise OSError(f"ip {' '.join(words)}: {done.stderr}")


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

    def end(self) -> None:
        """Without its applications, and in any case."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(20)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()


class Rack:
    """Two boards; `pi-1` commands `pi-2`, and not the other way round."""

    def __init__(self, directory: Path, first: Namespace, second: Namespace) -> None:
        self._places = {"pi-1": first, "pi-2": second}
        self.operator = Board(directory / "pi-1", first.name, describe("pi-1"))
        self.other = Board(directory / "pi-2", second.name, describe("pi-2", ADDRESSES["pi-1"]))

    def namespace(self, name: str) -> str:
        return self._places[name].name

    def lay_cable(self) -> None:
        first, second = self._places.values()
        first.ip("link", "add", "mesh", "type", "veth", "peer", "name", "mesh", "netns", second.name)
        for name in ADDRESSES:
            self.set_link(name, "up")
        wait_until(lambda: first.reaches(ADDRESSES["pi-2"]))

    def set_link(self, name: str, state: str) -> None:
        self._places[name].ip("link", "set", "mesh", state)
        if state == "up":  # a link that went down has lost its addresses
            self._places[name].ip("addr", "replace", f"{ADDRESSES[name]}/64", "dev", "mesh", "nodad")


def describe(name: str, *operators: str) -> str:
    """The text of a `cluster.yaml`; YAML includes JSON."""
    nodes = {node: f"[{address}]:{PORT}" for node, address in ADDRESSES.items()}
    return json.dumps({"name": name, "listen": nodes[name], "operators": operators, "nodes": nodes})


@contextlib.contextmanager
def run_rack(directory: Path) -> Iterator[Rack]:
    with Namespace("pi-1") as first, Namespace("pi-2") as second:
        rack = Rack(directory, first, second)
        rack.lay_cable()
        try:
            for board in (rack.operator, rack.other):
                board.start()
            yield rack
        finally:
            for board in (rack.operator, rack.other):
                board.end_everything()
