"""The SOCKS server on loopback beside microsocks and Dante: bytes, what they cost, connections, memory.

All run at once and are loaded in turns, so that what else the machine does meets each of them.
"""

from __future__ import annotations

import contextlib
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from tests.benches.figures import Figure
from tests.services.socks.stage import client_words, run_program, server_words

TREE = Path(__file__).parents[3]
TICKS = os.sysconf("SC_CLK_TCK")
LOAD = [sys.executable, "-m", "tests.benches.services.socks_load"]
UP_WITHIN_S, LOAD_WITHIN_S = 20, 120
OPEN = 1000

DANTE = """
logoutput: /dev/null
internal: 127.0.0.1 port = {port}
external: 127.0.0.1
clientmethod: none
socksmethod: none
user.privileged: root
user.unprivileged: nobody
client pass {{ from: 0.0.0.0/0 to: 0.0.0.0/0 }}
socks pass {{ from: 0.0.0.0/0 to: 0.0.0.0/0 }}
"""


@dataclass(frozen=True, slots=True)
class Effort:
    rounds: int = 5
    seconds: float = 1.5


@dataclass
class Server:
    """`also` are processes without which it does not serve."""

    name: str
    pid: int
    port: int
    also: tuple[int, ...] = ()
    bits: dict[int, list[float]] = field(default_factory=dict)
    cost: dict[int, list[float]] = field(default_factory=dict)
    connections: list[float] = field(default_factory=list)
    connection_cost: list[float] = field(default_factory=list)

    def pids(self) -> list[int]:
        return [pid for one in (self.pid, *self.also) for pid in family(one)]

    def cpu_s(self) -> float:
        """With collected children's, since a server may fork for each."""
        return sum(used_s(pid) for pid in self.pids())

    def rss_mb(self) -> float:
        return sum(rss_bytes(pid) for pid in self.pids()) / 1e6


def bench(effort: Effort = Effort()) -> list[Figure]:
    with tempfile.TemporaryDirectory(prefix="skywire-bench-") as folder, ExitStack() as stack:
        ours, chain, *peers = servers = run_all(Path(folder), stack)
        idle = {server.name: server.rss_mb() for server in servers}
        for _ in range(effort.rounds):
            for count in (1, 16):
                for server in servers:
                    load_streams(server, count, effort.seconds)
            for server in servers:
                load_connections(server, effort.seconds)
        full = {server.name: open_many(server) for server in servers}
    return [*speeds(ours, chain, peers), *counts(ours, peers), *memory(ours, peers, idle, full)]


def counts(ours: Server, peers: list[Server]) -> Iterator[Figure]:
    yield Figure(
        "connections: handshake, a byte, end",
        f"≥ {round(0.5 * middle(peers[0].connections))} /s",
        middle(ours.connections),
        "/s",
        beside(peers, lambda one: f"{middle(one.connections):.0f} /s"),
    )
    cost = beside(peers, lambda one: f"{middle(one.connection_cost) * 1e6:.0f} µs")
    yield Figure("CPU for a connection", "", middle(ours.connection_cost) * 1e6, "µs", cost)


def memory(ours: Server, peers: list[Server], idle: dict[str, float], full: dict[str, float]) -> Iterator[Figure]:
    told = [beside(peers, lambda one, of=of: f"{of[one.name]:.1f} MB") for of in (idle, full)]  # type: ignore[misc]
    yield Figure("memory, idle (RSS)", "≤ 40 MB", idle[ours.name], "MB", told[0])
    yield Figure(f"memory, {OPEN} connections open (RSS)", "≤ 60 MB", full[ours.name], "MB", told[1])


def speeds(ours: Server, chain: Server, peers: list[Server]) -> Iterator[Figure]:
    for count in (1, 16):
        streams = "1 stream" if count == 1 else f"{count} streams"
        best = max(middle(peer.bits[count]) for peer in peers)
        least = min(middle(peer.cost[count]) for peer in peers)
        told = beside(peers, lambda one, count=count: f"{middle(one.bits[count]) / 1e9:.2f} Gbit/s")  # type: ignore[misc]
        cost = beside(peers, lambda one, count=count: f"{middle(one.cost[count]):.2f} s")  # type: ignore[misc]
        yield Figure(f"{streams}", f"≥ {best / 1e9:.2f} Gbit/s", middle(ours.bits[count]) / 1e9, "Gbit/s", told)
        yield Figure(f"{streams}: CPU for a GB", f"≤ {least:.2f} s", middle(ours.cost[count]), "s", cost)
        yield Figure(f"{streams}, through client and server", "", middle(chain.bits[count]) / 1e9, "Gbit/s")
        yield Figure(f"{streams}, through client and server: CPU of both for a GB", "", middle(chain.cost[count]), "s")


def beside(peers: list[Server], tell: Callable[[Server], str]) -> str:
    return ", ".join(f"{peer.name}: {tell(peer)}" for peer in peers)


def middle(values: list[float]) -> float:
    return statistics.median(values)


# load


def load_streams(server: Server, count: int, seconds: float) -> None:
    before = server.cpu_s()
    size, took = load("streams", server.port, count, seconds)
    server.bits.setdefault(count, []).append(size * 8 / took)
    server.cost.setdefault(count, []).append((server.cpu_s() - before) / (size / 1e9))


def load_connections(server: Server, seconds: float) -> None:
    before = server.cpu_s()
    made, took = load("connections", server.port, seconds)
    server.connections.append(made / took)
    server.connection_cost.append((server.cpu_s() - before) / made)


def load(kind: str, port: int, *words: float) -> tuple[float, float]:
    done = subprocess.run(
        [*LOAD, kind, str(port), *map(str, words)],
        cwd=TREE,
        stdout=subprocess.PIPE,
        text=True,
        timeout=LOAD_WITHIN_S,
        check=True,
    )
    first, second = done.stdout.split()
    return float(first), float(second)


def open_many(server: Server) -> float:
    """Its memory meanwhile."""
    with subprocess.Popen(
        [*LOAD, "hold", str(server.port), str(OPEN)], cwd=TREE, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdin is not None
        assert holder.stdout is not None
        said = holder.stdout.readline()
        found = server.rss_mb() if said == b"held\n" else float("nan")
        holder.stdin.close()
        return found


# servers


def run_all(folder: Path, stack: ExitStack) -> list[Server]:
    """Ours, ours behind our client, and the peers."""
    ours = stack.enter_context(run_program(server_words(folder), folder / "ours.log"))
    behind = stack.enter_context(run_program(server_words(folder), folder / "behind.log"))
    settings = 'listen: "127.0.0.1:0"\nlimits: {per_second: 1000000, burst: 1000000, per_client: 20000}\n'
    client = stack.enter_context(run_program(client_words(folder, behind, settings), folder / "client.log"))
    ports = [free_port(), free_port()]
    (folder / "dante.conf").write_text(DANTE.format(port=ports[1]))
    microsocks = stack.enter_context(run_peer(["microsocks", "-i", "127.0.0.1", "-p", str(ports[0])], ports[0]))
    dante = stack.enter_context(run_peer(["danted", "-f", str(folder / "dante.conf")], ports[1]))
    return [
        Server("ours", ours.pid, ours.port),
        Server("client and server", client.pid, client.port, (behind.pid,)),
        Server("microsocks", microsocks, ports[0]),
        Server("Dante", dante, ports[1]),
    ]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as end:
        return int(end.getsockname()[1])


@contextlib.contextmanager
def run_peer(words: list[str], port: int) -> Iterator[int]:
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until = time.monotonic() + UP_WITHIN_S
        while time.monotonic() < until and not answers(port):
            time.sleep(0.05)
        assert answers(port), f"not up: {' '.join(words)}"
        yield process.pid
    finally:
        process.terminate()
        process.wait()


def answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


# processes


def family(pid: int) -> list[int]:
    """It and all that stem from it."""
    children: dict[int, list[int]] = {}
    for entry in os.scandir("/proc"):
        if entry.name.isdecimal():
            with contextlib.suppress(OSError):
                children.setdefault(int(fields(int(entry.name))[1]), []).append(int(entry.name))
    found = [pid]
    for one in found:
        found.extend(children.get(one, []))
    return found


def fields(pid: int) -> list[str]:
    """Those of /proc/PID/stat from the state on."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def used_s(pid: int) -> float:
    with contextlib.suppress(OSError):
        return sum(int(text) for text in fields(pid)[11:15]) / TICKS
    return 0.0


def rss_bytes(pid: int) -> int:
    with contextlib.suppress(OSError):
        return int(fields(pid)[21]) * os.sysconf("SC_PAGE_SIZE")
    return 0
