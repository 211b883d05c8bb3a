"""What is beyond the server: HTTP on port 80, and what calls itself a resolver on port 53.

/mss     the segment size of this connection, and who the client seems to be
/N       N bytes
PUT      whatever comes
"""

from __future__ import annotations

import asyncio
import socket
import sys


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    verb, what = head.split()[:2]
    length = next((int(line.split(":")[1]) for line in head.split("\r\n") if line.lower().startswith("content-l")), 0)
    end = writer.get_extra_info("socket")
    if verb == "PUT":
        if "100-continue" in head:
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        while length > 0:
            length -= len(await reader.read(65536))
        body = b"done"
    elif what == "/mss":
        body = f"{end.getsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG)} {end.getpeername()[0]}".encode()
    else:
        body = bytes(int(what[1:]))
    writer.write(f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body)
    await writer.drain()
    writer.close()


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(99)
    writer.write(b"by tcp")
    writer.close()


class Resolver(asyncio.DatagramProtocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def datagram_received(self, _: bytes, where: object) -> None:
        self._transport.sendto(b"by udp", where)  # type: ignore[attr-defined]


async def main() -> None:
    await asyncio.start_server(serve, None, 80)
    await asyncio.start_server(answer, "203.0.113.53", 53)
    await asyncio.get_running_loop().create_datagram_endpoint(Resolver, ("203.0.113.53", 53))
    sys.stdout.write("\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


asyncio.run(main())
