"""Run in a network of its own, as a machine with public addresses: plays one scene with real programs, and prints what
came of it as JSON.

unshare --net --mount python -m tests.services.socks.in_the_wild neighbours
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import tempfile
from ipaddress import ip_address
from pathlib import Path

from services.socks.server.nearby import READ_EACH_S, Nearby
from tests.services.socks.stage import WITHIN_S, ask, run_program, server_words

HERE4, HERE6 = "5.9.77.2/24", "2a01:4f8:77::2/64"
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


SCENES = {"neighbours": neighbours}


def main(scene: str) -> None:
    lay_uplink()
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(SCENES[scene](Path(folder))))


if __name__ == "__main__":
    main(sys.argv[1])
