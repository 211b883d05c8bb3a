"""Real nodes in network namespaces: `node run` with a seed, a configuration and, in the place of a manager's orders,
what a node keeps of them in its RAM folder.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from ipaddress import IPv6Address
from pathlib import Path

import msgspec

from services import seed_file
from services.addresses import link_address, new_route_id, session_address
from services.keys import Identity, NodeId, new_seed
from services.manager.asks import Neighbours
from services.manager.model import Label
from services.manager.record import NodeRecord, make_record, sign_record
from services.node.api_words import GetLinks, GetStatus, Links, LinkState, Status
from services.node.client import Line
from services.node.label_facts import addresses
from tests.services.kernel.hosts import DEADLINE_S, ROOT, Host

LINK_PORT = 51820


class Node:
    """One host's node: its identity and folders, and its process while it runs."""

    def __init__(self, host: Host, folder: Path, at: str, more: str = "") -> None:
        self.host, self.folder, self.at = host, folder, at
        folder.mkdir(mode=0o700)
        (folder / "ram").mkdir(mode=0o700)
        with new_seed() as seed:
            seed_file.create(folder / "seed", seed)
            self.identity = Identity(seed)
        self.config = folder / "node.yaml"
        lines = [f"{name}: {folder}/{name}" for name in ("seed", "ram", "card")]
        self.config.write_text("\n".join([*lines, f"socket: {folder}/node.sock", "relays: true", more, ""]))
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def node_id(self) -> NodeId:
        return self.identity.node_id

    @property
    def link_address(self) -> IPv6Address:
        return link_address(self.identity.link_key)

    @property
    def session_address(self) -> IPv6Address:
        return session_address(self.node_id)

    def record(self, wires: tuple[str, ...] = (), sequence: int = 1) -> NodeRecord:
        return make_record(self.identity, sequence, (f"{self.at}:{LINK_PORT}",), "1", relays=True, wires=wires)

    # what a manager would have ordered

    def neighbours(self, records: Iterable[bytes]) -> None:
        self._keep("neighbours", Neighbours(tuple(records)))

    def label(self, label: Label) -> None:
        self._keep(f"label-{label.route}", label)

    def _keep(self, name: str, value: object) -> None:
        (self.folder / "ram" / f"{name}.json").write_bytes(msgspec.json.encode(value))

    # what it says

    def status(self) -> Status:
        with Line(self.folder / "node.sock") as line:
            return line.ask(GetStatus(), Status)

    def links(self) -> tuple[LinkState, ...]:
        with Line(self.folder / "node.sock") as line:
            return line.ask(GetLinks(), Links).links

    def waits(self, until: Callable[[Status], bool]) -> Status:
        """Until its status is so."""
        deadline = time.monotonic() + DEADLINE_S
        while not until(status := self.status()):
            assert time.monotonic() < deadline, f"{status.summary}\n{self.log.read_text()}"
            time.sleep(0.1)
        return status

    # its process

    def start(self, **environment: str) -> None:
        """Returns when it says that it is ready."""
        self._process = start(self.host, self.words("run"), self.log, environment)

    def wait_end(self) -> int:
        assert self._process is not None
        return self._process.wait(DEADLINE_S)

    @property
    def log(self) -> Path:
        return self.folder / "log"

    def kill(self) -> None:
        """Without a word of warning."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        assert self._end(signal.SIGTERM) == 0, self.log.read_text()

    def down(self) -> None:
        self.host.run(f"--wdns={ROOT}", *self.words("down"))

    def _end(self, number: signal.Signals) -> int:
        assert self._process is not None
        self._process.send_signal(number)
        return self.wait_end()

    def words(self, command: str) -> list[str]:
        return [sys.executable, "-m", "services.node", command, "--config", str(self.config)]


class Manager:
    """A manager beside a node, which runs already."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self.log = node.folder / "manager-log"
        self.at = f"{node.at}:7997"
        self._config = node.folder / "manager.yaml"
        lines = [
            f"seed: {node.folder}/seed",
            f"folder: {node.folder}/manager",
            'join: {listen: "0.0.0.0:7997", admit: open}',
            f"node: {node.folder}/node.sock",
            f"socket: {node.folder}/manager.sock",
        ]
        self._config.write_text("\n".join(lines))
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        words = [sys.executable, "-m", "services.manager", "run", "--config", str(self._config)]
        self._process = start(self._node.host, words, self.log)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(number)
            self._process.wait(DEADLINE_S)


def start(
    host: Host, words: list[str], log: Path, environment: Mapping[str, str] = os.environ
) -> subprocess.Popen[bytes]:
    """A program that tells when it is ready."""
    place = log.with_name("notify")
    place.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told, log.open("ab") as errors:
        told.bind(str(place))
        told_where = {**os.environ, **environment, "NOTIFY_SOCKET": str(place)}
        started = subprocess.Popen([*host.inside(), f"--wdns={ROOT}", *words], env=told_where, stderr=errors)
        ended = os.pidfd_open(started.pid)
        try:
            readable, _, _ = select.select([told.fileno(), ended], [], [], DEADLINE_S)
        finally:
            os.close(ended)
        if told.fileno() not in readable or told.recv(64) != b"READY=1":
            started.kill()
            started.wait(DEADLINE_S)
            raise AssertionError(log.read_text())
    return started


def start_all(*nodes: Node) -> None:
    """Side by side."""
    with ThreadPoolExecutor() as pool:
        for done in [pool.submit(node.start) for node in nodes]:
            done.result(DEADLINE_S)


def introduce(*nodes: Node) -> None:
    """Each knows all the others."""
    for node in nodes:
        node.neighbours(sign_record(other.identity, other.record()) for other in nodes if other is not node)


def lay_route(*nodes: Node, mtu: int = 1420) -> tuple[IPv6Address, IPv6Address]:
    """A label at each node; returns the ends' addresses."""
    route = new_route_id().hex()
    ids: list[NodeId | None] = [None, *(node.node_id for node in nodes), None]
    for place, node in enumerate(nodes, 1):
        node.label(Label(route, ids[place - 1], ids[place + 1], mtu))
    return addresses(route)
