"""How long a session takes to open over three hops: from the request on the node's socket to its answer, and to the
first packet of the application at the far end. It sends one datagram as soon as it is told where to.
"""

from __future__ import annotations

import re
import socket
import time
from dataclasses import dataclass, field

from services.node.api_words import Close, Connect, Connected, Done, Publish, Published
from services.node.client import Line
from services.node.errors import NodeRefusedError
from tests.benches.figures import Figure
from tests.benches.mesh.cpu import of_processes_s
from tests.benches.mesh.progress import tell
from tests.benches.mesh.real import LINE, python_pids, run_mesh
from tests.benches.mesh.spread import percentile
from tests.laboratory.joined import node_socket
from tests.mesh.world import RELAYED, World

TIMES = 150
TOLD_EVERY = 50
PAUSE_S = 0.6
"""The far end lets one node ask for two sessions a second."""

PORT, NAME = 5300, "bench"
SOURCE, TARGET, HOPS = "a", "d", 3
DEADLINE_S = 20.0
ID = re.compile("[0-9a-f]{64}")
AIMS = {50: "≤ 30 ms", 99: "≤ 100 ms"}


@dataclass
class Opened:
    """Seconds of each session, and how often one was refused, or its packet did not come in time."""

    answered: list[float] = field(default_factory=list)
    arrived: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    cpu_s: float = 0.0
    programs: int = 0


def bench(times: int = TIMES) -> list[Figure]:
    """About two minutes; needs root."""
    with run_mesh(LINE) as world:
        opened = measure(world, times)
    claim = f"session over {HOPS} hops, request to"
    arrived, answered, again = opened.arrived, opened.answered, opened.failures
    programs = f"CPU of {opened.programs} nodes and managers on this one machine, for each session"
    return [
        *(Figure(f"{claim} first packet, p{p}", aim, percentile(arrived, p) * 1e3, "ms") for p, aim in AIMS.items()),
        *(Figure(f"{claim} answer, p{p}", "", percentile(answered, p) * 1e3, "ms") for p in AIMS),
        Figure(programs, "", opened.cpu_s / times * 1e3, "ms", "with what they do when idle"),
        Figure("sessions that were asked for again", "", len(again), "times", "; ".join(set(again))),
    ]


def measure(world: World, times: int) -> Opened:
    source, target = world.host(SOURCE), world.host(TARGET)
    receiver = target.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    receiver.bind((target.session_address, PORT))
    receiver.settimeout(DEADLINE_S)
    sender = source.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    sender.bind((source.session_address, 0))
    opened = Opened()
    with Line(node_socket(target)) as offer, Line(node_socket(source)) as line:
        offer.ask(Publish(NAME, PORT, (world.id(SOURCE),), "udp"), Published)
        world.connect_once_offered(SOURCE, TARGET, NAME, RELAYED)
        pids = python_pids(world.lab)
        before = of_processes_s(pids)
        while len(opened.arrived) < times:
            line.ask(Close(world.id(TARGET)), Done)
            try:
                open_one(line, sender, receiver, opened, world.id(TARGET))
            except (NodeRefusedError, TimeoutError) as error:
                opened.failures.append(ID.sub("…", str(error)))
                if len(opened.failures) > times:
                    raise
            done = len(opened.arrived)
            if done % TOLD_EVERY == 0:
                tell(f"{done} sessions, {len(opened.failures)} failures")
            time.sleep(PAUSE_S)
        opened.cpu_s, opened.programs = of_processes_s(pids) - before, len(pids)
    return opened


def open_one(line: Line, sender: socket.socket, receiver: socket.socket, opened: Opened, target: str) -> None:
    """Raises NodeRefusedError, TimeoutError."""
    word = str(len(opened.arrived) + len(opened.failures)).encode()
    begin = time.perf_counter()
    connected = line.ask(Connect(target, NAME, RELAYED), Connected)
    answered = time.perf_counter() - begin
    sender.sendto(word, (connected.address, PORT))
    while receiver.recv(64) != word:
        pass
    opened.arrived.append(time.perf_counter() - begin)
    opened.answered.append(answered)
