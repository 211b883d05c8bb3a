"""The rows of SOCKS on loopback: real clients through the real programs, and what the kernel counts of them meanwhile.

Through a mesh it is seen in `sites`.
"""

from __future__ import annotations

import re
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from tests.boot.rows import Row
from tests.services.socks.stage import (
    TREE,
    WITHIN_S,
    Program,
    ask,
    place,
    run_echo,
    run_pair,
    run_udp_echo,
    run_web,
    take,
    tunnel,
)
from tests.services.socks.test_real_clients import curl
from tests.services.socks.test_udp import Udp

MEGABYTES = 256
MOST_BY_PYTHON = 10_000
WITHIN_TESTS_S = 300
COPIES = re.compile(r"(?:read|write|recvfrom|sendto|recvmsg|sendmsg)\(.* = (\d+)$", re.MULTILINE)
SPLICES = re.compile(r"splice\(.* = (\d+)$", re.MULTILINE)


def rows() -> Iterator[Row]:
    with tempfile.TemporaryDirectory(prefix="skywire-prove-") as folder, run_pair(Path(folder)) as (server, client):
        yield through_curl("curl at the server itself", server)
        yield through_curl("curl at the client before it", client)
        yield by_http(client)
        yield told_why(client)
        yield by_udp(client)
        yield by_splice(server, Path(folder))
    for claim, words in {
        "5,000 connections and slow readers, by an unprivileged user": ["test_crowd.py"],
        "no spelling of an address leads to the server itself": ["test_own_addresses.py"],
        "its LAN by public addresses, names without end, IPv6 that is silent": ["test_in_the_wild.py"],
        "the choice: first, named, country, fastest, random": ["test_in_a_mesh.py"],
        "whoever is too many is told so": ["test_full.py"],
        "streams: whole, half-closed, reset, slow, idle; deadlines; limits": ["test_streams.py"],
        "dead, deaf and dumb servers: the next one is asked": ["test_failover.py"],
        "malformed input: hypothesis and a kept corpus": ["test_wire.py"],
    }.items():
        yield by_tests(claim, words)


def through_curl(claim: str, proxy: Program) -> Row:
    where = f"127.0.0.1:{proxy.port}"
    with run_web() as web4, run_web("::1") as web6:
        said = [
            curl("--socks5", where, f"http://127.0.0.1:{web4}/a")[1].strip(),
            curl("--socks5-hostname", where, f"http://localhost:{web4}/b")[1].strip(),
            curl("--socks5", where, f"http://[::1]:{web6}/c")[1].strip(),
        ]
    wanted = ["/a by 127.0.0.1", "/b by 127.0.0.1", "/c by ::1"]
    return Row(f"{claim}: IPv4, a name, IPv6", ", ".join(said), said == wanted)


def by_http(client: Program) -> Row:
    with run_web() as web:
        said = curl("-p", "--proxy", f"http://127.0.0.1:{client.port}", f"http://127.0.0.1:{web}/d")[1].strip()
    return Row("curl by HTTP CONNECT, on the same port", said, said == "/d by 127.0.0.1")


def told_why(client: Program) -> Row:
    """The REP of each."""
    replies = {
        "refused": reply(client, 1, ("127.0.0.1", 1)),
        "private": reply(client, 1, ("10.1.2.3", 80)),
        "metadata": reply(client, 1, ("169.254.169.254", 80)),
        "mesh": reply(client, 1, ("fd53::1", 80)),
        "BIND": reply(client, 2, ("127.0.0.1", 80)),
    }
    wanted = {"refused": 5, "private": 2, "metadata": 2, "mesh": 2, "BIND": 7}
    return Row("what cannot be is told by its reply code", str(replies)[1:-1], replies == wanted)


def reply(proxy: Program, command: int, target: tuple[str, int]) -> int:
    with socket.create_connection(("127.0.0.1", proxy.port), WITHIN_S) as end:
        return ask(end, command, target)[1]


def by_udp(client: Program) -> Row:
    with run_udp_echo() as port, closing(Udp(client.port)) as udp:
        echo = ("127.0.0.1", port)
        udp.say(echo, b"fragment", fragment=1)
        udp.say(echo, b"whole")
        where, payload = udp.hear()
        ok = (where, payload, udp.is_silent()) == (place(echo), b"whole", True)
        return Row("UDP through client and server; a fragment is dropped", f"came back: {payload!r}", ok)


def by_splice(server: Program, folder: Path) -> Row:
    """Every call that moves bytes, as strace sees it."""
    log = folder / "strace"
    words = [
        "strace",
        "-f",
        "-q",
        "-s0",
        "-e",
        "trace=read,write,recvfrom,sendto,recvmsg,sendmsg,splice",
        "-o",
        str(log),
    ]
    with run_echo() as echo, subprocess.Popen([*words, "-p", str(server.pid)], stderr=subprocess.DEVNULL) as strace:
        _wait_traced(server)
        with tunnel(server.port, ("127.0.0.1", echo)) as end:
            for _ in range(MEGABYTES):
                end.sendall(bytes(1 << 20))
                take(end, 1 << 20)
        strace.terminate()
    said = log.read_text()
    copied, spliced = (sum(int(found) for found in kind.findall(said)) for kind in (COPIES, SPLICES))
    seen = f"{MEGABYTES} MiB there and back: splice {spliced / 1e6:.0f} MB; read, write, recv and send {copied} bytes"
    # each byte is spliced into a pipe and out of it
    return Row("payload does not pass through Python", seen, copied < MOST_BY_PYTHON and spliced >= MEGABYTES << 22)


def _wait_traced(server: Program) -> None:
    until = time.monotonic() + WITHIN_S
    while time.monotonic() < until:
        if "TracerPid:\t0\n" not in Path(f"/proc/{server.pid}/status").read_text():
            return
        time.sleep(0.05)
    raise AssertionError("strace does not trace the server")


def by_tests(claim: str, names: list[str]) -> Row:
    files = [f"tests/services/socks/{name}" for name in names]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *files],
        cwd=TREE,
        capture_output=True,
        text=True,
        timeout=WITHIN_TESTS_S,
        check=False,
    )
    return Row(claim, done.stdout.strip().splitlines()[-1] if done.stdout else done.stderr, done.returncode == 0)
