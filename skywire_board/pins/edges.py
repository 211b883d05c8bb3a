"""One thread for the edge events of all pins of a factory; it exists only while a pin is watched.

The supervisor does not use it: it samples its button, as not every chip has edge interrupts. gpiozero
callbacks arrive on this thread.
"""

import os
import select
from collections.abc import Callable
from threading import Lock, Thread, current_thread


class EdgeWatcher:
    """Calls the function of a file descriptor whenever it becomes readable."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._ready: dict[int, Callable[[], None]] = {}
        self._thread: Thread | None = None
        self._wake_r = self._wake_w = -1

    def add(self, fd: int, ready: Callable[[], None]) -> None:
        """Watch `fd` until it is removed."""
        with self._lock:
            self._ready[fd] = ready
            if self._thread is None:
                self._wake_r, self._wake_w = os.pipe()
                self._thread = Thread(target=self._run, name="skywire-edges", daemon=True)
                self._thread.start()
        self._wake()

    def remove(self, fd: int) -> None:
        """Watch `fd` no longer; the thread ends with the last one."""
        with self._lock:
            self._ready.pop(fd, None)
            thread = self._thread if not self._ready else None
        self._wake()
        if thread is not None and thread is not current_thread():
            thread.join()

    def close(self) -> None:
        """Watch nothing any more."""
        for fd in list(self._ready):
            self.remove(fd)

    def _wake(self) -> None:
        with self._lock:
            if self._wake_w >= 0:
                os.write(self._wake_w, b"\0")

    def _run(self) -> None:
        while True:
            with self._lock:
                if not self._ready:
                    self._end()
                    return
                fds = [self._wake_r, *self._ready]
            readable, _, _ = select.select(fds, [], [])
            for fd in readable:
                if fd == self._wake_r:
                    os.read(fd, 64)
                elif (ready := self._ready.get(fd)) is not None:
                    ready()

    def _end(self) -> None:
        os.close(self._wake_r)
        os.close(self._wake_w)
        self._wake_r = self._wake_w = -1
        self._thread = None
