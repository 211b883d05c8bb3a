"""One TCP connection between two hosts' session addresses, as an application has it: the sender never stops, and the
receiver notes when nothing came. Both ends are sockets of the test itself, in the hosts' networks.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections import deque
from collections.abc import Iterator

from tests.laboratory.host import Host

CHUNK = 64 * 1024
PAUSE_S = 0.005
"""Between the small pieces of a paced stream."""

PIECE = 512
NOTED_S = 0.02
"""Shorter silences are of no interest."""

DEADLINE_S = 30.0


class Stream:
    """`there` sends to `here`; use `open_stream`. Times are of the monotonic clock."""

    def __init__(self, sender: socket.socket, receiver: socket.socket, *, paced: bool) -> None:
        self._sender, self._receiver = sender, receiver
        self._piece = bytes(PIECE if paced else CHUNK)
        self._pause_s = PAUSE_S if paced else 0.0
        self._came = threading.Condition()
        self._silences: deque[tuple[float, float]] = deque(maxlen=10_000)
        self._last = time.monotonic()
        self._ends = threading.Event()
        self.sent = self.received = 0
        self.broken = ""
        """Why the connection broke, if it did."""
        self._threads = [threading.Thread(target=work, daemon=True) for work in (self._send, self._receive)]
        for thread in self._threads:
            thread.start()

    def gap_since(self, since: float) -> float:
        """The longest silence that was not over at that time, the present one too."""
        with self._came:
            ended = [end - begin for begin, end in self._silences if end > since]
            return max([*ended, time.monotonic() - self._last])

    def wait_bytes(self, count: int = 1, within_s: float = DEADLINE_S) -> None:
        """Until that many more have come. Raises AssertionError."""
        with self._came:
            wanted = self.received + count
            in_time = self._came.wait_for(lambda: self.received >= wanted or self.broken, within_s)
        assert not self.broken, f"the stream broke: {self.broken}"
        assert in_time, f"{count} bytes did not come in {within_s:g} s; silent for {self.gap_since(0):.2f} s"

    def wait_resumed(self, since: float, within_s: float = DEADLINE_S) -> float:
        """After something was done to the network: until the stream has run well again; returns the gap."""
        self.wait_quiet_or_flowing(since, within_s)
        return self.gap_since(since)

    def wait_quiet_or_flowing(self, since: float, within_s: float) -> None:
        """Bytes that came 0.5 s or more after that time are not what was still in flight."""
        deadline = time.monotonic() + within_s
        with self._came:
            in_time = self._came.wait_for(
                lambda: self._last > since + 0.5 or self.broken, max(0.0, deadline - time.monotonic())
            )
        assert not self.broken, f"the stream broke: {self.broken}"
        assert in_time, f"the stream stands still since {time.monotonic() - self._last:.1f} s"

    def close(self) -> None:
        """Ends it in good order; whatever was sent has come. Raises AssertionError."""
        self._ends.set()
        self._threads[0].join(DEADLINE_S)
        with contextlib.suppress(OSError):
            self._sender.shutdown(socket.SHUT_WR)
        self._threads[1].join(DEADLINE_S)
        self.abandon()
        assert not self.broken, f"the stream broke: {self.broken}"
        assert self.received == self.sent, f"{self.sent} bytes were sent, {self.received} came"

    def abandon(self) -> None:
        self._ends.set()
        for end in (self._sender, self._receiver):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(DEADLINE_S)
        for end in (self._sender, self._receiver):
            end.close()

    def _send(self) -> None:
        try:
            while not self._ends.wait(self._pause_s):
                self._sender.sendall(self._piece)
                self.sent += len(self._piece)
        except OSError as error:
            self._note_broken(error)

    def _receive(self) -> None:
        try:
            while data := self._receiver.recv(CHUNK):
                self._note(len(data))
        except OSError as error:
            self._note_broken(error)

    def _note(self, count: int) -> None:
        now = time.monotonic()
        with self._came:
            if now - self._last > NOTED_S:
                self._silences.append((self._last, now))
            self._last = now
            self.received += count
            self._came.notify_all()

    def _note_broken(self, error: OSError) -> None:
        with self._came:
            if not self._ends.is_set():
                self.broken = str(error)
            self._came.notify_all()


@contextlib.contextmanager
def open_stream(
    server: Host, client: Host, port: int, *, download: bool = True, paced: bool = True, within_s: float = DEADLINE_S
) -> Iterator[Stream]:
    """The client dials the server's session address; with `download` the server sends. Without `paced` it sends as fast
    as it can. Leaving is no check: `close` is.
    """
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(server.socket(socket.AF_INET6, socket.SOCK_STREAM))
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((server.session_address, port))
        listener.listen(1)
        listener.settimeout(within_s)
        dialled = client.socket(socket.AF_INET6, socket.SOCK_STREAM)
        stack.callback(dialled.close)
        dialled.bind((client.session_address, 0))
        dialled.settimeout(within_s)
        dialled.connect((server.session_address, port))
        taken, _ = listener.accept()
        for end in (dialled, taken):
            end.settimeout(None)
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sender, receiver = (taken, dialled) if download else (dialled, taken)
        stream = Stream(sender, receiver, paced=paced)
        stack.callback(stream.abandon)
        yield stream
