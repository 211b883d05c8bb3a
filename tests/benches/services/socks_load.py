"""The load on a SOCKS server, as a program of its own: clients and targets, so that neither's time is the server's.

    python -m tests.benches.services.socks_load streams PORT COUNT SECONDS    prints bytes and seconds
    python -m tests.benches.services.socks_load connections PORT SECONDS      prints connections and seconds
    python -m tests.benches.services.socks_load hold PORT COUNT               holds them until standard input ends

Streams are sent by one process and taken by another, by ordinary send and receive. Each connection is a whole one:
handshake, a byte from the target, end; four processes make them.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import select
import socket
import sys
import threading
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection

AT_ONCE = 4
CHUNK = 1 << 18
PATIENCE_S = 30.0


def tunnel(port: int, target: int) -> socket.socket:
    end = socket.socket()
    end.settimeout(PATIENCE_S)
    end.connect(("127.0.0.1", port))
    end.sendall(b"\5\1\0")
    end.recv(2)
    end.sendall(b"\5\1\0\1\x7f\0\0\1" + target.to_bytes(2, "big"))
    reply = end.recv(10)
    if reply[:2] != b"\5\0":
        raise SystemExit(f"refused: {reply!r}")
    return end


# streams


def streams(port: int, count: int, seconds: float) -> tuple[int, float]:
    """Until the last byte has arrived."""
    with socket.create_server(("127.0.0.1", 0), backlog=count) as listening:
        sink = multiprocessing.Process(target=swallow, args=(listening, count), daemon=True)
        sink.start()
        ends = [tunnel(port, listening.getsockname()[1]) for _ in range(count)]
    sent = [0] * count
    began = time.monotonic()
    threads = [threading.Thread(target=send, args=(ends, sent, at, began + seconds)) for at in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    sink.join()
    return sum(sent), time.monotonic() - began


def send(ends: list[socket.socket], sent: list[int], at: int, until: float) -> None:
    data = os.urandom(CHUNK)
    while time.monotonic() < until:
        ends[at].sendall(data)
        sent[at] += CHUNK
    ends[at].shutdown(socket.SHUT_WR)


def swallow(listening: socket.socket, count: int) -> None:
    buffer = bytearray(1 << 20)
    ends = {end.fileno(): end for end, _ in (listening.accept() for _ in range(count))}
    with select.epoll() as epoll:
        for file, end in ends.items():
            end.setblocking(False)
            epoll.register(file, select.EPOLLIN)
        while ends:
            for file, _ in epoll.poll():
                with contextlib.suppress(BlockingIOError):
                    if not ends[file].recv_into(buffer):
                        epoll.unregister(file)
                        ends.pop(file).close()


# connections


def connections(port: int, seconds: float) -> tuple[int, float]:
    with run_greeter() as target:
        began = time.monotonic()
        pairs = [multiprocessing.Pipe() for _ in range(AT_ONCE)]
        makers = [
            multiprocessing.Process(target=connect, args=(port, target, began + seconds, out)) for _, out in pairs
        ]
        for maker in makers:
            maker.start()
        made = sum(into.recv() for into, _ in pairs)
        for maker in makers:
            maker.join()
        return made, time.monotonic() - began


def connect(port: int, target: int, until: float, out: Connection) -> None:
    made = 0
    while time.monotonic() < until:
        with tunnel(port, target) as end:
            if end.recv(1) != b"x" or end.recv(1):
                raise SystemExit("not what the target said")
        made += 1
    out.send(made)


@contextlib.contextmanager
def run_greeter() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as listening:
        greeter = multiprocessing.Process(target=greet, args=(listening,), daemon=True)
        greeter.start()
        try:
            yield listening.getsockname()[1]
        finally:
            greeter.terminate()
            greeter.join()


def greet(listening: socket.socket) -> None:
    while True:
        end, _ = listening.accept()
        end.sendall(b"x")
        end.close()


# many that say nothing


def hold(port: int, count: int) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=count) as listening:
        held = []
        for _ in range(count):
            held += [tunnel(port, listening.getsockname()[1]), listening.accept()[0]]
        print("held", flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    multiprocessing.set_start_method("fork")
    kind, port, *rest = sys.argv[1:]
    if kind == "hold":
        hold(int(port), int(rest[0]))
    elif kind == "streams":
        print(*streams(int(port), int(rest[0]), float(rest[1])))
    else:
        print(*connections(int(port), float(rest[0])))
