"""Runs on the board: a web server on its own network, and connections to it through the SOCKS client on loopback, as
any program makes them. Prints one JSON object. Only the board's own libraries are there.
"""

import json
import socket
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from ipaddress import IPv4Address

PROXY = ("127.0.0.1", 1080)
PORT, OTHER_PORT = 8090, 8091
SAID = b"hello through the mesh"
DEADLINE_S = float(sys.argv[1]) if len(sys.argv) > 1 else 60.0


class Hello(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(SAID)))
        self.end_headers()
        self.wfile.write(SAID)

    def log_message(self, *_: object) -> None:
        """Nothing: what is printed is for a program."""


def own_address() -> str:
    """That of the uplink."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("10.0.2.2", 9))
        name: str = probe.getsockname()[0]
        return name


def through(address: str, port: int) -> tuple[int, bytes]:
    """What the proxy replied, and what came then."""
    with socket.create_connection(PROXY, timeout=30) as link:
        stream = link.makefile("rwb", buffering=0)
        link.sendall(b"\5\1\0")
        if stream.read(2) != b"\5\0":
            return -1, b""
        link.sendall(b"\5\1\0\1" + IPv4Address(address).packed + port.to_bytes(2, "big"))
        head = stream.read(10) or b""
        if len(head) < 2 or head[1]:
            return (head[1] if len(head) > 1 else -1), b""
        link.sendall(b"GET / HTTP/1.0\r\n\r\n")
        answer = b""
        while data := link.recv(4096):
            answer += data
        return 0, answer.partition(b"\r\n\r\n")[2]


def main() -> dict[str, object]:
    address = own_address()
    with HTTPServer((address, PORT), Hello) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        end = time.monotonic() + DEADLINE_S
        while True:
            try:
                reply, said = through(address, PORT)
            except OSError:
                reply, said = -1, b""
            if said or time.monotonic() > end:
                break
            time.sleep(0.5)
        refused, _ = through(address, OTHER_PORT)
        server.shutdown()
    return {"reply": reply, "said": said.decode(), "refused": refused}


if __name__ == "__main__":
    print(json.dumps(main()))
