"""Programs and targets on loopback: the real server and client as processes of their own, and what they lead to."""

from __future__ import annotations

import contextlib
import hashlib
import http.server
import os
import re
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

TREE = Path(__file__).parents[3]
UP_WITHIN_S, END_WITHIN_S, WITHIN_S = 30.0, 15.0, 20.0
GREETING = b"\5\1\0"
ALL_LOOPBACK = 'allow: ["127.0.0.0/8", "[::1]"]\n'
MANY = "limits: {per_second: 1000000, burst: 1000000, per_client: 20000}\n"

AS_NOBODY = """
import asyncio, logging, os, sys
import services.app.program, services.socks.server.program, services.socks.server.config
from services.socks.server.__main__ import main
os.setgroups([]); os.setgid(65534); os.setuid(65534)
main(sys.argv[1:])
"""
"""What it needs is imported before, since the user may not be let into the folders it lies in."""


@dataclass
class Program:
    process: subprocess.Popen[bytes]
    host: str
    port: int
    log: Path
    idle_files: int = 0

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def said(self) -> str:
        return self.log.read_text()

    def rss_bytes(self) -> int:
        found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{self.pid}/status").read_text())
        assert found
        return int(found[1]) * 1024

    def files(self) -> int:
        return sum(1 for _ in Path(f"/proc/{self.pid}/fd").iterdir())


@contextlib.contextmanager
def run_program(words: list[str], log: Path) -> Iterator[Program]:
    """Up when it has said where it listens; must end by SIGTERM with 0."""
    with log.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, *words], cwd=TREE, stderr=file, env=os.environ | {"SIGNAL_CLIENT": "false"}
        )
    try:
        host, port = _wait_up(process, log)
        program = Program(process, host, port, log)
        program.idle_files = program.files()
        yield program
        process.send_signal(signal.SIGTERM)
        assert process.wait(END_WITHIN_S) == 0, log.read_text()
    finally:
        process.kill()
        process.wait()


def _wait_up(process: subprocess.Popen[bytes], log: Path) -> tuple[str, int]:
    end = time.monotonic() + UP_WITHIN_S
    while time.monotonic() < end and process.poll() is None:
        found = re.search(r" at \[?([0-9a-f.:]+?)\]?:(\d+), for up to", log.read_text())
        if found:
            return found[1], int(found[2])
        time.sleep(0.05)
    raise AssertionError(f"not up: {log.read_text()}")


def server_words(folder: Path, settings: str = ALL_LOOPBACK + MANY, listen: str = "127.0.0.1:0") -> list[str]:
    config = folder / f"server-{time.monotonic_ns()}.yaml"
    config.write_text(settings)
    return ["-m", "services.socks.server", "run", "--listen", listen, "--config", str(config)]


def client_words(folder: Path, server: Program, settings: str = 'listen: "127.0.0.1:0"\n') -> list[str]:
    config = folder / f"client-{time.monotonic_ns()}.yaml"
    config.write_text(settings)
    where = f"[{server.host}]:{server.port}" if ":" in server.host else f"{server.host}:{server.port}"
    return ["-m", "services.socks.client", "run", "--server", where, "--config", str(config)]


@contextlib.contextmanager
def run_pair(folder: Path) -> Iterator[tuple[Program, Program]]:
    """A server and a client before it."""
    with (
        run_program(server_words(folder), folder / "server.log") as server,
        run_program(client_words(folder, server), folder / "client.log") as client,
    ):
        yield server, client


# what a client says


def tunnel(port: int, target: tuple[str, int], *, name: bool = False) -> socket.socket:
    """Through a SOCKS5 proxy on loopback; the reply must be success."""
    end = socket.create_connection(("127.0.0.1", port), WITHIN_S)
    reply = ask(end, 1, target, name=name)
    assert reply[1] == 0, reply
    return end


def ask(end: socket.socket, command: int, target: tuple[str, int], *, name: bool = False) -> bytes:
    """The reply, whole."""
    end.sendall(GREETING)
    assert take(end, 2) == b"\5\0"
    end.sendall(bytes((5, command, 0)) + place(target, name=name))
    head = take(end, 4)
    return head + take(end, (4 if head[3] == 1 else 16) + 2)


def place(target: tuple[str, int], *, name: bool = False) -> bytes:
    host, port = target
    if name:
        return bytes((3, len(host))) + host.encode() + port.to_bytes(2, "big")
    kind, family = (4, socket.AF_INET6) if ":" in host else (1, socket.AF_INET)
    return bytes((kind,)) + socket.inet_pton(family, host) + port.to_bytes(2, "big")


def take(end: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        more = end.recv(count - len(data))
        assert more, f"ended after {data!r}"
        data += more
    return data


def take_all(end: socket.socket) -> bytes:
    data = bytearray()
    while more := end.recv(1 << 16):
        data += more
    return bytes(data)


# targets


@contextlib.contextmanager
def run_echo(host: str = "127.0.0.1") -> Iterator[int]:
    """Says everything back; at the end of what it hears, the SHA-256 of it all in hex, and closes."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, 0), family=family, backlog=1024) as listening:
        threading.Thread(target=_accept, args=(listening,), daemon=True).start()
        try:
            yield listening.getsockname()[1]
        finally:
            listening.shutdown(socket.SHUT_RDWR)


def _accept(listening: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while True:
            end, _ = listening.accept()
            threading.Thread(target=_echo, args=(end,), daemon=True).start()


def _echo(end: socket.socket) -> None:
    digest = hashlib.sha256()
    with contextlib.suppress(OSError), end:
        while data := end.recv(1 << 16):
            digest.update(data)
            end.sendall(data)
        end.sendall(digest.hexdigest().encode())


@contextlib.contextmanager
def run_crowd() -> Iterator[int]:
    """A target for thousands: one thread that says back what it hears."""
    with socket.create_server(("127.0.0.1", 0), backlog=4096) as listening, select.epoll() as epoll:
        listening.setblocking(False)
        epoll.register(listening, select.EPOLLIN)
        stop = threading.Event()
        thread = threading.Thread(target=_serve_crowd, args=(listening, epoll, stop))
        thread.start()
        try:
            yield listening.getsockname()[1]
        finally:
            stop.set()
            thread.join()


def _serve_crowd(listening: socket.socket, epoll: select.epoll, stop: threading.Event) -> None:
    ends: dict[int, socket.socket] = {}
    while not stop.is_set():
        for file, _ in epoll.poll(0.2):
            with contextlib.suppress(OSError):
                if file == listening.fileno():
                    while True:
                        end, _ = listening.accept()
                        ends[end.fileno()] = end
                        epoll.register(end, select.EPOLLIN)
                elif data := ends[file].recv(1 << 16):
                    ends[file].send(data)
                else:
                    epoll.unregister(file)
                    ends.pop(file).close()
    for end in ends.values():
        end.close()


@contextlib.contextmanager
def run_udp_echo(host: str = "127.0.0.1") -> Iterator[int]:
    """Says each datagram back, until it hears an empty one."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as end:
        end.bind((host, 0))
        thread = threading.Thread(target=_echo_datagrams, args=(end,))
        thread.start()
        try:
            yield end.getsockname()[1]
        finally:
            with socket.socket(family, socket.SOCK_DGRAM) as last:
                last.sendto(b"", end.getsockname())
            thread.join()


def _echo_datagrams(end: socket.socket) -> None:
    while True:
        data, sender = end.recvfrom(65_535)
        if not data:
            return
        end.sendto(data, sender)


class _Web(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = f"{self.path} by {self.client_address[0]}\n".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


class _WebServer(http.server.ThreadingHTTPServer):
    address_family = socket.AF_INET

    def __init__(self, host: str) -> None:
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        super().__init__((host, 0), _Web)


@contextlib.contextmanager
def run_web(host: str = "127.0.0.1") -> Iterator[int]:
    """Answers any GET with its path and by whom it was asked."""
    server = _WebServer(host)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1})
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
