"""Run in a network of its own, whose loopback has public addresses: asks a real server for the machine's own addresses
in every spelling, and prints the replies as JSON; 0 would be a connection.
"""

from __future__ import annotations

import json
import socket
import subprocess
import tempfile
from pathlib import Path

from tests.services.socks.stage import GREETING, WITHIN_S, run_program, run_udp_echo, server_words, take

OWN4, OWN6 = "5.9.77.2", "2a01:4f8::2"
SPELLINGS = {
    "IPv4": b"\1" + socket.inet_aton(OWN4),
    "IPv6": b"\4" + socket.inet_pton(socket.AF_INET6, OWN6),
    "IPv4 as IPv6": b"\4" + socket.inet_pton(socket.AF_INET6, f"::ffff:{OWN4}"),
    **{
        f"the name {name}": bytes((3, len(name))) + name.encode()
        for name in (OWN4, OWN6, f"::ffff:{OWN4}", f"::ffff:{OWN6[:4]}", f"{OWN6}%1", f"{OWN6}%lo", "2a01:04f8:0::0002")
    },
}


def connect(port: int, spelling: bytes, target: int) -> int:
    with socket.create_connection(("127.0.0.1", port), WITHIN_S) as end:
        end.sendall(GREETING + b"\5\1\0" + spelling + target.to_bytes(2, "big"))
        return take(end, 4)[3]


def say_by_udp(port: int, target: int) -> list[str]:
    """Those that came back; the last one goes where it may."""
    with (
        socket.create_connection(("127.0.0.1", port), WITHIN_S) as control,
        socket.socket(type=socket.SOCK_DGRAM) as end,
    ):
        end.settimeout(WITHIN_S)
        control.sendall(GREETING + b"\5\3\0\1" + bytes(6))
        relay = ("127.0.0.1", int.from_bytes(take(control, 12)[10:], "big"))
        for name, spelling in {**SPELLINGS, "allowed": b"\1\x7f\0\0\1"}.items():
            end.sendto(b"\0\0\0" + spelling + target.to_bytes(2, "big") + name.encode(), relay)
        came: list[str] = []
        while "allowed" not in came:
            came.append(end.recv(999)[10:].decode())
        return came


def main() -> None:
    for words in (["link", "set", "lo", "up"], ["addr", "add", OWN4, "dev", "lo"], ["addr", "add", OWN6, "dev", "lo"]):
        subprocess.run(["ip", *words], check=True)
    folder = Path(tempfile.mkdtemp())
    with (
        run_program(server_words(folder, 'allow: ["127.0.0.0/8"]\n'), folder / "log") as server,
        socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True) as target,
        run_udp_echo("0.0.0.0") as udp,
    ):
        port = target.getsockname()[1]
        replies = {name: connect(server.port, spelling, port) for name, spelling in SPELLINGS.items()}
        allowed = connect(server.port, b"\1\x7f\0\0\1", port)
        print(json.dumps({"replies": replies, "allowed": allowed, "udp": say_by_udp(server.port, udp)}))


if __name__ == "__main__":
    main()
