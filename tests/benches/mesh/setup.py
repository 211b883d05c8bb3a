"""How long a session takes to open over three hops: from the request on the node's socket to its answer, and to the
first packet of the application at the far end. It sends one datagram as soon as it is told where to.
"""

from __future__ import annotations

import socket
import time

from services.node.api_words import Close, Connect, Connected, Done, Publish, Published
from services.node.client import Line
from tests.benches.figures import Figure
from tests.benches.mesh.progress import tell
from tests.benches.mesh.real import LINE, run_mesh
from tests.benches.mesh.spread import percentile
from tests.laboratory.joined import node_socket
from tests.mesh.world import RELAYED, World

TIMES = 200
TOLD_EVERY = 50
PORT, NAME = 5300, "bench"
SOURCE, TARGET, HOPS = "a", "d", 3
DEADLINE_S = 20.0
AIMS = {50: "≤ 30 ms", 99: "≤ 100 ms"}


def bench(times: int = TIMES) -> list[Figure]:
    """About a minute; needs root."""
    with run_mesh(LINE) as world:
        answered, arrived = measure(world, times)
    claim = f"session over {HOPS} hops, request to"
    figures = [
        Figure(f"{claim} first packet, p{percent}", aim, percentile(arrived, percent) * 1e3, "ms")
        for percent, aim in AIMS.items()
    ]
    figures += [
        Figure(f"{claim} answer, p{percent}", "", percentile(answered, percent) * 1e3, "ms") for percent in AIMS
    ]
    return figures


def measure(world: World, times: int) -> tuple[list[float], list[float]]:
    source, target = world.host(SOURCE), world.host(TARGET)
    receiver = target.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    receiver.bind((target.session_address, PORT))
    receiver.settimeout(DEADLINE_S)
    sender = source.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    sender.bind((source.session_address, 0))
    answered, arrived = list[float](), list[float]()
    with Line(node_socket(target)) as offer, Line(node_socket(source)) as line:
        offer.ask(Publish(NAME, PORT, (world.id(SOURCE),), "udp"), Published)
        world.connect_once_offered(SOURCE, TARGET, NAME, RELAYED)
        for number in range(1, times + 1):
            line.ask(Close(world.id(TARGET)), Done)
            begin = time.perf_counter()
            connected = line.ask(Connect(world.id(TARGET), NAME, RELAYED), Connected)
            answered.append(time.perf_counter() - begin)
            sender.sendto(str(number).encode(), (connected.address, PORT))
            while receiver.recv(64) != str(number).encode():
                pass
            arrived.append(time.perf_counter() - begin)
            if number % TOLD_EVERY == 0:
                tell(f"{number} sessions, first packet after {percentile(arrived, 50) * 1e3:.0f} ms (median so far)")
    return answered, arrived
