"""What a machine's programs do all the time, on a host of a lab: curl by IPv4, IPv6 and name, pings of both, questions
to the resolver that the machine was given and to that of its own network. Prints a line for each thing that went well.

    python -m tests.mesh.load NAME IPV4 IPV6 RESOLVER
"""

from __future__ import annotations

import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable

PAUSE_S, WITHIN_S = 0.25, 1.5
QUIET = subprocess.DEVNULL


def curl(address: str) -> str:
    """What the web server says: with whose address it was asked."""
    words = ["curl", "-sg", "--noproxy", "*", "-m", str(WITHIN_S), f"http://{address}/"]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=30)
    return done.stdout.strip()


def ask(name: str, resolver: str) -> str:
    """One question, in one datagram."""
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    question = b"\x12\x34\x01\0\0\1" + bytes(6) + labels + b"\0\0\1\0\1"
    with socket.socket(socket.AF_INET6 if ":" in resolver else socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.settimeout(WITHIN_S)
        try:
            asking.sendto(question, (resolver, 53))
            return resolver if asking.recv(512) else ""
        except OSError:
            return ""


def given_resolver() -> str:
    with open("/etc/resolv.conf") as file:  # noqa: PTH123 (a load, read anew each time)
        found = re.search(r"^nameserver (\S+)", file.read(), re.MULTILINE)
    return found[1] if found else ""


def again_and_again(what: str, work: Callable[[], str]) -> None:
    while True:
        said = work()
        if said:
            sys.stdout.write(f"{what} {said}\n")
            sys.stdout.flush()
        time.sleep(PAUSE_S)


def main(name: str, ipv4: str, ipv6: str, resolver: str) -> None:
    for address in (ipv4, ipv6):
        subprocess.Popen(
            ["sh", "-c", f"while :; do ping -i 0.2 {address}; sleep 0.2; done"], stdout=QUIET, stderr=QUIET
        )
    works: dict[str, Callable[[], str]] = {
        "web4": lambda: curl(ipv4),
        "web6": lambda: curl(f"[{ipv6}]"),
        "name": lambda: curl(name),
        "dns": lambda: ask(name, found) if (found := given_resolver()) else "",
        "own-network-dns": lambda: ask(name, resolver),
        "far-dns": lambda: ask(name, ipv6),
    }
    threads = [threading.Thread(target=again_and_again, args=work) for work in works.items()]
    for thread in threads:
        thread.start()


if __name__ == "__main__":
    main(*sys.argv[1:])
