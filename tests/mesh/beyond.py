"""Runs on a host beyond the mesh: a web server for IPv4 and IPv6, and the name server that knows it. Prints a line for
each request, with who came; the first is READY.

    python -m tests.mesh.beyond NAME IPV4 IPV6
"""

from __future__ import annotations

import hashlib
import socket
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address

READY = "READY"
HTTP, DNS = 80, 53
MEGABYTE = 1_000_000
A, AAAA = 1, 28


def megabytes(count: int) -> bytes:
    """What `/bytes/COUNT` answers: no two of its blocks are alike."""
    return b"".join(hashlib.sha256(b"%d" % number).digest() for number in range(count * MEGABYTE // 32))


class Web(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        who = self.client_address[0].removeprefix("::ffff:")
        print(f"web {who} {self.path}", flush=True)
        kind, _, rest = self.path.strip("/").partition("/")
        body = megabytes(int(rest)) if kind == "bytes" else f"{who}\n".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """What there is to say was printed."""


class Server(ThreadingHTTPServer):
    address_family = socket.AF_INET6
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """A client that went away is no error here."""


def answer(question: bytes, name: str, addresses: dict[int, bytes]) -> bytes:
    """To one question in one datagram; every other name is unknown."""
    end = question.index(b"\0", 12)
    labels, at = [], 12
    while at < end:
        labels.append(question[at + 1 : at + 1 + question[at]].decode("ascii", "replace").lower())
        at += 1 + question[at]
    kind = int.from_bytes(question[end + 1 : end + 3], "big")
    is_known = ".".join(labels) == name
    found = addresses.get(kind, b"") if is_known else b""
    print(f"dns {'.'.join(labels)} {kind}", flush=True)
    flags = 0x8580 if is_known else 0x8583
    head = question[:2] + flags.to_bytes(2, "big") + b"\0\1" + (b"\0\1" if found else b"\0\0") + bytes(4)
    record = b"\xc0\x0c" + kind.to_bytes(2, "big") + b"\0\1" + bytes(4) + len(found).to_bytes(2, "big") + found
    return head + question[12 : end + 5] + (record if found else b"")


def serve_names(name: str, addresses: dict[int, bytes], door: socket.socket) -> None:
    while True:
        question, asker = door.recvfrom(4096)
        try:
            door.sendto(answer(question, name, addresses), asker)
        except (ValueError, IndexError, OSError):
            continue


def main(name: str, ipv4: str, ipv6: str) -> None:
    addresses = {A: ip_address(ipv4).packed, AAAA: ip_address(ipv6).packed}
    for family, address in ((socket.AF_INET, ipv4), (socket.AF_INET6, ipv6)):
        door = socket.socket(family, socket.SOCK_DGRAM)
        door.bind((address, DNS))
        threading.Thread(target=serve_names, args=(name, addresses, door), daemon=True).start()
    with Server(("::", HTTP), Web) as server:
        print(READY, flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
