"""One server asked over one connection: the handshake, from the first byte until its reply."""

from __future__ import annotations

import socket
from collections.abc import Callable

from services.socks.errors import WireError
from services.socks.room.front import CHUNK
from services.socks.room.loop import Room
from services.socks.wire.socks5 import ClientTalk, Replied

Done = Callable[[Replied | str], None]


class Asked:
    """Calls `done` once: with the reply, and then the connection is the caller's; or why there is none, and then it is
    closed. `rest` is what the server said after its reply.
    """

    def __init__(self, room: Room, end: socket.socket, talk: ClientTalk, within_s: float, done: Done) -> None:
        self._room, self.end, self._talk, self._done = room, end, talk, done
        self._deadline = room.later(within_s, lambda: self._fail("did not answer in time"))

    @property
    def rest(self) -> bytes:
        return self._talk.take_rest()

    def start(self) -> None:
        """May call `done` before it returns."""
        self._room.hand_over(self.end.fileno(), lambda _events: self._hear())
        self._talk.start()
        try:
            self._say()
        except OSError as error:
            self._fail(str(error.strerror))

    def cancel(self) -> None:
        self._deadline.cancel()
        if self.end.fileno() >= 0:
            self._room.forget(self.end.fileno())
            self.end.close()

    def _say(self) -> None:
        output = self._talk.take_output()
        if output:
            self.end.send(output)

    def _hear(self) -> None:
        """Until there is nothing more, since an event is told once."""
        try:
            while data := self.end.recv(CHUNK):
                found = self._talk.feed(data)
                self._say()
                if isinstance(found, Replied):
                    self._deadline.cancel()
                    self._done(found)
                    return
        except BlockingIOError:
            return
        except WireError as error:
            self._fail(str(error))
        except OSError as error:
            self._fail(str(error.strerror))
        else:
            self._fail("closed the connection before it answered")

    def _fail(self, why: str) -> None:
        self.cancel()
        self._done(why)
