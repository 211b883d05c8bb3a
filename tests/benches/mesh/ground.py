"""The ground that is measured on: rows of hosts in one laboratory, each row cabled host to host, and on each host an
agent that holds a `Machine` of services.kernel, as the node program does. All of it goes when the bench ends, also
after a failure; the laboratory's warden clears up after a bench that was killed.
"""

from __future__ import annotations

import pickle
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from services.kernel.model import Fact
from services.kernel.plan import want
from tests.benches.mesh.progress import tell
from tests.laboratory.host import TREE, Host
from tests.laboratory.lab import Lab, run_lab
from tests.laboratory.model import Cable, Topology

DEADLINE_S = 300.0


class Agent:
    """Calls of a `Machine` on a host, answered by a process of its own."""

    def __init__(self, host: Host) -> None:
        words = [*host.inside(TREE), sys.executable, "-m", "tests.services.kernel.agent"]
        self.host = host
        self._process = subprocess.Popen(
            words, env=host.environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
        )

    @property
    def pid(self) -> int:
        return self._process.pid

    def call(self, verb: str, *words: object) -> tuple[Any, float]:
        """What it returned, and the seconds that the call itself took."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        pickle.dump((verb, words), self._process.stdin)
        self._process.stdin.flush()
        ready, _, _ = select.select([self._process.stdout], [], [], DEADLINE_S)
        if not ready:
            raise TimeoutError(f"'{verb}' on '{self.host.name}' had no answer in {DEADLINE_S:g} s")
        result, seconds = pickle.load(self._process.stdout)  # noqa: S301  # our own child
        if isinstance(result, Exception):
            raise result
        return result, seconds

    def bring(self, facts: Iterable[Fact]) -> float:
        return self._change("bring", want(facts))

    def amend(self, put: Iterable[Fact], drop: Iterable[Fact] = ()) -> float:
        return self._change("amend", list(put), list(drop))

    def _change(self, verb: str, *words: object) -> float:
        report, seconds = self.call(verb, *words)
        if report.failed:
            raise OSError(f"{verb} on '{self.host.name}': {report.failed[0].reason}")
        return seconds

    def close(self) -> None:
        """As if the node program were stopped: what it made in the kernel stays."""
        self._process.kill()
        self._process.communicate(timeout=DEADLINE_S)


class Ground:
    def __init__(self, lab: Lab, rows: Mapping[str, int]) -> None:
        self.lab = lab
        self._rows = {row: [lab.host(name) for name in names(row, count)] for row, count in rows.items()}
        self._agents: dict[str, Agent] = {}

    def row(self, name: str) -> list[Host]:
        return self._rows[name]

    def agent(self, host: Host) -> Agent:
        if host.name not in self._agents:
            self._agents[host.name] = Agent(host)
        return self._agents[host.name]

    def agents(self) -> list[Agent]:
        return list(self._agents.values())

    def stop_agents(self) -> None:
        while self._agents:
            self._agents.popitem()[1].close()

    @property
    def namespaces(self) -> list[str]:
        return [self.lab.namespace(name) for name in self.lab.network.nodes]


@contextmanager
def run_ground(rows: Mapping[str, int]) -> Iterator[Ground]:
    """Row → how many hosts; a host is named after its row and its place, from 1."""
    hosts = [name for row, count in rows.items() for name in names(row, count)]
    cables = [
        Cable(left, right) for row, count in rows.items() for left, right in zip(*pairs(names(row, count)), strict=True)
    ]
    topology = Topology("the bench's rows", tuple(hosts), cables=tuple(cables))
    with tempfile.TemporaryDirectory(prefix="skywire-bench-") as folder, run_lab(topology, Path(folder, "lab")) as lab:
        tell(f"{len(hosts)} hosts in {len(rows)} rows")
        ground = Ground(lab, rows)
        try:
            yield ground
        finally:
            ground.stop_agents()


def names(row: str, count: int) -> list[str]:
    return [f"{row}-{place}" for place in range(1, count + 1)]


def pairs(line: list[str]) -> tuple[list[str], list[str]]:
    return line[:-1], line[1:]


def at(host: Host, seen_from: Host) -> str:
    """The address of a host on the cable to its neighbour."""
    return host.node.address(seen_from.name)


def await_answer(host: Host, address: str, within_s: float = 60.0) -> None:
    """Pings until there is an answer."""
    deadline = time.monotonic() + within_s
    while host.run(["ping", "-c1", "-W1", address], check=False).returncode != 0:
        if time.monotonic() > deadline:
            raise TimeoutError(f"'{address}' does not answer '{host.name}' in {within_s:g} s")
