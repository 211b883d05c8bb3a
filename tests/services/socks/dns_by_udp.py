"""Asks a name server by UDP through a SOCKS proxy on loopback, and prints the address it told:

python -m tests.services.socks.dns_by_udp 1080 5.9.77.2 web.example
"""

from __future__ import annotations

import socket
import sys
from contextlib import closing

from tests.services.socks.test_udp import Udp

TRIES = 10


def question(name: str) -> bytes:
    """For its IPv4 address (RFC 1035, section 4)."""
    labels = b"".join(bytes((len(label),)) + label.encode() for label in name.split("."))
    return b"\x4d\x53\1\0\0\1\0\0\0\0\0\0" + labels + b"\0\0\1\0\1"


def main(port: int, server: str, name: str) -> None:
    with closing(Udp(port)) as udp:
        udp.end.settimeout(2)
        for _ in range(TRIES):
            udp.say((server, 53), question(name))
            try:
                print(socket.inet_ntoa(udp.hear()[1][-4:]))
            except TimeoutError:
                continue
            return
    sys.exit("no answer")


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], sys.argv[3])
