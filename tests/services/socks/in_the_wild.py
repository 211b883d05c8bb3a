"""Run in a network of its own, as a machine with public addresses: plays one scene with real programs, and prints what
came of it as JSON.

unshare --net --mount python -m tests.services.socks.in_the_wild neighbours
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path

from services.socks.model import IpAddress, Reply
from services.socks.room.dial import Dial
from services.socks.room.loop import Room, run
from services.socks.server.nearby import READ_EACH_S, Nearby
from tests.mesh.beyond import AAAA, A, answer
from tests.services.socks.stage import (
    GREETING,
    WITHIN_S,
    ask,
    client_words,
    place,
    run_echo,
    run_program,
    server_words,
    take,
)

HERE4, HERE6 = "5.9.77.2/24", "2a01:4f8:77::2/64"
ALLOWED = 'allow: ["127.0.0.0/8"]\n'
LOOPBACK4, LOOPBACK6 = ip_address("127.0.0.1"), ip_address("::1")
SILENT4, SILENT6 = ip_address("5.9.99.1"), ip_address("2a01:4f8:99::1")
"""Beyond the router, which swallows what it is given."""

NAMES = {
    "well.example": {A: LOOPBACK4.packed},
    "silent.example": {A: LOOPBACK4.packed, AAAA: SILENT6.packed},
    "refusing.example": {A: LOOPBACK4.packed, AAAA: LOOPBACK6.packed},
}
COUNTS = """
add table inet seen
add chain inet seen out { type filter hook output priority 0; }
add rule inet seen out ip6 daddr {2a01:4f8:99::1, ::1} tcp flags syn / syn,ack counter
"""
LATER6 = "2a01:4f8:78::2/64"


def ip(*lines: str) -> None:
    for line in lines:
        subprocess.run(["ip", *line.split()], check=True)


def lay_uplink() -> None:
    """What goes to the router is swallowed: nobody has its hardware address."""
    ip("link set lo up", "link add uplink type veth peer name beyond", "link set uplink up", "link set beyond up")
    ip(f"address add {HERE4} dev uplink", f"address add {HERE6} dev uplink nodad")
    for router in ("5.9.77.1", "2a01:4f8:77::1"):
        ip(f"neighbour add {router} lladdr 02:00:00:00:00:99 dev uplink", f"route add default via {router}")


def reply(port: int, host: str, target: int = 80) -> int:
    with socket.create_connection(("127.0.0.1", port), WITHIN_S) as end:
        return ask(end, 1, (host, target))[1]


def neighbours(folder: Path) -> object:
    clock = [0.0]
    nearby, later = Nearby(lambda: clock[0]), ip_address("2a01:4f8:78::99")
    seen = [nearby.holds(later)]
    ip(f"address add {LATER6} dev uplink nodad")
    for clock[0] in (READ_EACH_S / 2, READ_EACH_S):
        seen.append(nearby.holds(later))
    settings = 'allow: ["5.9.77.7:80", "[2a01:4f8:77::7]"]\nconnect_s: 0.3\n'
    with run_program(server_words(folder, settings), folder / "log") as server:
        hosts = ("5.9.77.99", "2a01:4f8:77::99", "2a01:4f8:78::99", "5.9.77.7", "2a01:4f8:77::7", "5.9.78.1", "2a01::1")
        return {"seen": seen, "replies": {host: reply(server.port, host) for host in hosts}}


def names(folder: Path) -> object:
    """One client asks for far more than there are threads of names whose server never answers; then another asks."""
    with run_names(folder), run_program(server_words(folder, ALLOWED), folder / "log") as server, run_echo() as echo:
        held = [ask_for(server.port, f"{number}.dead.example", echo, "127.0.0.3") for number in range(40)]
        began = time.monotonic()
        with contextlib.closing(ask_for(server.port, "well.example", echo, "127.0.0.4")) as end:
            code, took_s = take(end, 4)[3], time.monotonic() - began
        answered = sum(len(one.recv(99)) > 2 for one in held)
        for one in held:
            one.close()
        return {"reply": code, "took_s": took_s, "answered": answered}


def ask_for(port: int, name: str, target: int, source: str) -> socket.socket:
    """By name, from an address of its own; the reply is to be read."""
    end = socket.create_connection(("127.0.0.1", port), WITHIN_S, (source, 0))
    end.sendall(GREETING + b"\5\1\0" + place((name, target), name=True))
    return end


@contextlib.contextmanager
def run_names(folder: Path) -> Iterator[None]:
    """The machine's name server from now on."""
    settings = folder / "resolv.conf"
    settings.write_text("nameserver 127.0.0.1\n")
    subprocess.run(["mount", "--bind", settings, Path("/etc/resolv.conf").resolve()], check=True)
    with socket.socket(type=socket.SOCK_DGRAM) as door:
        door.bind(("127.0.0.1", 53))
        thread = threading.Thread(target=_serve_names, args=(door,))
        thread.start()
        try:
            yield
        finally:
            door.sendto(b"", door.getsockname())
            thread.join()


def _serve_names(door: socket.socket) -> None:
    """Those that nobody knows get no answer."""
    while True:
        question, asker = door.recvfrom(4096)
        if not question:
            return
        for name, addresses in NAMES.items():
            if encode_name(name) in question:
                door.sendto(answer(question, name, addresses), asker)


def encode_name(name: str) -> bytes:
    return b"".join(bytes((len(label),)) + label.encode() for label in name.split(".")) + b"\0"


def families(folder: Path) -> object:
    """Names with an address of either family, of which IPv6 comes first and does not lead there."""
    subprocess.run(["nft", "-f", "-"], input=COUNTS, text=True, check=True)
    settings = 'allow: ["127.0.0.0/8", "[::1]"]\n'
    replies = {}
    with run_names(folder), run_program(server_words(folder, settings), folder / "log") as server, run_echo() as echo:
        for name in ("silent.example", "refusing.example"):
            began = time.monotonic()
            with socket.create_connection(("127.0.0.1", server.port), WITHIN_S) as end:
                replies[name] = (ask(end, 1, (name, echo), name=True)[1], time.monotonic() - began)
    return {"replies": replies, "tried": count_tries()}


def count_tries() -> int:
    """Over IPv6, in the kernel's eyes."""
    listed = subprocess.run(["nft", "list", "table", "inet", "seen"], capture_output=True, text=True, check=True)
    found = re.search(r"packets (\d+)", listed.stdout)
    assert found
    return int(found[1])


def dials(_folder: Path) -> object:
    """What a dial comes to, by its addresses in their order."""
    with run_echo("::1") as echo:
        cases = {
            "silent, then listening": [SILENT4, LOOPBACK6],
            "refusing, then listening": [LOOPBACK4, LOOPBACK6],
            "two silent, then listening": [SILENT4, SILENT6, LOOPBACK6],
            "refusing": [LOOPBACK4],
            "silent": [SILENT4, SILENT6],
            "none": [],
        }
        return {name: run(functools.partial(dial, addresses=to, port=echo)) for name, to in cases.items()}


async def dial(room: Room, addresses: list[IpAddress], port: int) -> tuple[str, float]:
    """To whom or why not, and after how many seconds."""
    began, ended = time.monotonic(), asyncio.get_running_loop().create_future()

    def done(found: socket.socket | Reply) -> None:
        if isinstance(found, Reply):
            ended.set_result(found.name)
        else:
            ended.set_result(found.getpeername()[0])
            room.forget(found.fileno())
            found.close()
        room.wake_asyncio()

    Dial(room, addresses, port, 1.0, done).start()
    async with asyncio.timeout(WITHIN_S):
        return await ended, time.monotonic() - began


def strangers(folder: Path) -> object:
    """A client that listens on the LAN, asked by a neighbour and by somebody else."""
    ip("address add 5.9.90.2/32 dev lo")
    settings = 'listen: "5.9.77.2:0"\nallow_from: ["5.9.77.0/24"]\n'
    with (
        run_echo() as echo,
        run_program(server_words(folder), folder / "server") as server,
        run_program(client_words(folder, server, settings), folder / "client") as client,
    ):
        said = {}
        for source in ("5.9.77.2", "5.9.90.2"):
            with socket.create_connection((client.host, client.port), WITHIN_S, (source, 0)) as end:
                said[source] = ask_quietly(end, echo)
        return {"said": said, "logged": client.said.count("5.9.90.2: is not in a network that may use this")}


def ask_quietly(end: socket.socket, target: int) -> int:
    """The reply, or -1 where there is none."""
    try:
        return ask(end, 1, ("127.0.0.1", target))[1]
    except (OSError, AssertionError):
        return -1


SCENES = {"dials": dials, "families": families, "names": names, "neighbours": neighbours, "strangers": strangers}


def main(scene: str) -> None:
    lay_uplink()
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(SCENES[scene](Path(folder))))


if __name__ == "__main__":
    main(sys.argv[1])
