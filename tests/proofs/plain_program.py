"""A program that knows nothing of our library: it answers with the very bytes that were recorded of the original.

Run by viscript it finds its server in the environment. As a module it plays a client towards any server.
"""

import os
import socket
import sys

OPS = {0: b'\x80{"Alloc":313744,"HeapAlloc":313744,"HeapSys":1,"HeapIdle":2,"HeapInuse":3,"StackSys":4,"StackInuse":5}'}
OPS |= {1: b"\x81null", 2: b'\x82{"Pid":17720}'}
NORMAL, ACK, PING, PONG = 0x01, 0x80, 0x81, 0x82
RESPONSE = 0x80
DEADLINE_S = 120.0


def normal(seq: int, body: bytes) -> bytes:
    return bytes((NORMAL,)) + seq.to_bytes(4, "big") + len(body).to_bytes(4, "big") + body


def play(address: str, client_id: int, expected: list[int]) -> list[int]:
    """Register and answer what is asked, until `expected` has come or the server closes; the operations asked."""
    host, _, port = address.rpartition(":")
    asked: list[int] = []
    with socket.create_connection((host, int(port)), timeout=DEADLINE_S) as link:
        stream = link.makefile("rb")
        link.sendall(normal(1, b'\x00{"Id":%d}' % client_id))
        seq = 1
        while kind := stream.read(1):
            if kind[0] == ACK:
                stream.read(4)
                continue
            number = stream.read(4)
            body = stream.read(int.from_bytes(stream.read(4), "big"))
            link.sendall(bytes((ACK,)) + number)
            asked.append(body[0])
            if body[0] < RESPONSE:
                seq += 1
                link.sendall(normal(seq, OPS[body[0]]))
            if expected and asked == expected:
                break
    return asked


if __name__ == "__main__":
    try:
        play(os.environ["SIGNAL_SERVER_ADDRESS"], int(os.environ["SIGNAL_CLIENT_ID"]), [RESPONSE, 1, 0, 2])
    except OSError as error:
        sys.exit(str(error))
