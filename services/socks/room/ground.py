"""What server and client alike stand on: file descriptors, pipes, the relay, and how they are told of."""

from __future__ import annotations

import resource
from dataclasses import dataclass

from services.socks.limits import Clients, Limits
from services.socks.room.loop import Room
from services.socks.room.pipes import Pipes
from services.socks.room.relay import Relay

FILES_BESIDE = 128
"""Of the program itself: libraries, log, the node's socket, threads that resolve."""

MOST_PIPES = 256
_UNITS = ("bytes", "kB", "MB", "GB", "TB")


@dataclass(frozen=True, slots=True)
class Ground:
    """`most` is how many connections the files suffice for, at most as many as are wanted."""

    room: Room
    relay: Relay
    clients: Clients
    most: int

    def told(self) -> str:
        """How it is, in a sentence."""
        connections, clients = self.clients.connections, len(self.clients)
        moved = in_units(self.relay.bytes_moved)
        if not connections:
            return f"no connections, {moved} moved"
        return f"{_count(connections, 'connection')} of {_count(clients, 'client')}, {moved} moved"


def make_ground(room: Room, limits: Limits, idle_s: float, half_closed_s: float) -> Ground:
    """Each connection needs two files, and a pipe for as long as bytes are in it."""
    files = raise_files()
    pipes = max(8, min(MOST_PIPES, (files - FILES_BESIDE) // 16))
    most = max(8, min(limits.connections, (files - FILES_BESIDE - 2 * pipes) // 2))
    clients = Clients(limits, most)
    return Ground(room, Relay(room, Pipes(pipes), idle_s, half_closed_s), clients, most)


def raise_files() -> int:
    """As many open files as this user may have."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    hard = hard if hard != resource.RLIM_INFINITY else 1 << 20
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def in_units(count: int) -> str:
    value, unit = float(count), 0
    while value >= 1000 and unit + 1 < len(_UNITS):
        value, unit = value / 1000, unit + 1
    return f"{value:.3g} {_UNITS[unit]}"


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
