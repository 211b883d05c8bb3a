"""A UDP association through a server: datagrams go on as they came, head and all, between the program and the server.

They pass through Python, since no call of Linux's joins two UDP sockets; what `Datagrams` bounds at the server holds
here, too.
"""

from __future__ import annotations

import contextlib

from services.socks.model import Place, read_host
from services.socks.room.loop import IN, Room
from services.socks.server.datagrams import IN_ONE_TURN, bind

_LARGEST = 65_535
_SHORTEST = 4


class Passage:
    """`near` is where the program sends to; only `client` may, from one port."""

    def __init__(self, room: Room, near_host: str, far_host: str, client: str, port: int) -> None:
        """Raises OSError."""
        self._room, self._far_host, self._client = room, far_host, client
        self._program: tuple[str, int] | None = (client, port) if port else None
        self.near = bind(near_host, 0)
        try:
            self.far = bind("::" if ":" in far_host else "0.0.0.0", 0)  # noqa: S104 (the route decides)
        except OSError:
            self.near.close()
            raise

    @property
    def place(self) -> Place:
        host, port = self.near.getsockname()[:2]
        found = read_host(host.encode())
        assert found is not None
        return Place(found, port)

    @property
    def far_port(self) -> int:
        return int(self.far.getsockname()[1])

    def start(self, server_port: int) -> None:
        """From now on. Raises OSError."""
        self.far.connect((self._far_host, server_port))
        self._room.watch(self.near.fileno(), lambda _events: self._out(), IN)
        self._room.watch(self.far.fileno(), lambda _events: self._in(), IN)

    def close(self) -> None:
        for end in (self.near, self.far):
            self._room.forget(end.fileno())
            end.close()

    def _out(self) -> None:
        for _ in range(IN_ONE_TURN):
            try:
                data, address = self.near.recvfrom(_LARGEST)
            except OSError:
                return
            sender = (address[0], address[1])
            if self._program is None and sender[0] == self._client:
                self._program = sender
            if sender == self._program and len(data) >= _SHORTEST and not data[2]:
                with contextlib.suppress(OSError):
                    self.far.send(data)

    def _in(self) -> None:
        for _ in range(IN_ONE_TURN):
            try:
                data = self.far.recv(_LARGEST)
            except BlockingIOError:
                return
            except OSError:  # told of an earlier datagram: nobody there
                continue
            if self._program is not None:
                with contextlib.suppress(OSError):
                    self.near.sendto(data, self._program)
