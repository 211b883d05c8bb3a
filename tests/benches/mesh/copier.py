"""What we must not be: a program in Python that copies a stream. The check for payload in Python is tried on it.

python -m tests.benches.mesh.copier LISTEN TO PORT     from a port of this host to a port of that address
"""

from __future__ import annotations

import socket
import sys
import threading

CHUNK = 1 << 18


def copy(source: socket.socket, target: socket.socket) -> None:
    while data := source.recv(CHUNK):
        target.sendall(data)
    target.shutdown(socket.SHUT_WR)


def main(listen: int, to: str, port: int) -> None:
    with socket.create_server(("127.0.0.1", listen)) as server:
        print("listening", flush=True)
        while True:
            near, _ = server.accept()
            far = socket.create_connection((to, port))
            for ends in ((near, far), (far, near)):
                threading.Thread(target=copy, args=ends, daemon=True).start()


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
