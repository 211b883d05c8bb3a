"""A program that was started on a host: what it writes, whether it is ready, its end. Every wait has a deadline, and
tells what the program wrote last when it passes.
"""

from __future__ import annotations

import contextlib
import os
import re
import select
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from threading import Condition, Thread

from tests.laboratory.errors import NotReadyError
from tests.laboratory.model import By, Ready

PAUSE_S = 0.02
LAST_WORDS_S = 0.5
SHOWN_LINES = 12
OpenSocket = Callable[[int, int], socket.socket]


class Job:
    """`pid` is the program's own. Its output, errors too, goes to the file `log`, and can be waited for."""

    def __init__(self, name: str, words: list[str], env: dict[str, str], log: Path) -> None:
        self.name = name
        self.log = log
        self._lines: list[str] = []
        self._said = Condition()
        self._is_silent = False
        self._process = subprocess.Popen(
            words,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self._reader = Thread(target=self._listen, daemon=True)
        self._reader.start()
        Thread(target=self._await_end, daemon=True).start()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def is_running(self) -> bool:
        return self._process.poll() is None

    def kill(self, number: signal.Signals = signal.SIGKILL) -> None:
        """The program and what it started in its session; with SIGKILL, returns once it is gone."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, number)
        if number == signal.SIGKILL:
            self._process.wait(30)

    def stop(self, timeout_s: float = 20) -> int:
        """Asks it to end, and then does not ask; returns the exit code."""
        self.kill(signal.SIGTERM)
        try:
            return self.wait(timeout_s)
        except NotReadyError:
            self.kill()
            return self.wait(timeout_s)

    def wait(self, timeout_s: float = 60) -> int:
        """For its end; returns the exit code."""
        try:
            return self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise self._late(f"did not end in {timeout_s:g} s") from None

    def collect(self) -> None:
        """After the end of all that might still write."""
        self.kill()
        self._reader.join(30)

    def wait_line(self, pattern: str, timeout_s: float = 60) -> str:
        """The first line in which the pattern is found, be it already written."""
        deadline, seen = time.monotonic() + timeout_s, 0
        while True:
            with self._said:
                fresh, seen = self._lines[seen:], len(self._lines)
                found = next((line for line in fresh if re.search(pattern, line)), None)
                if found is not None:
                    return found
                if self._is_silent:
                    raise self._late(f"ended without a line '{pattern}'")
                if not self._said.wait(deadline - time.monotonic()):
                    raise self._late(f"wrote no line '{pattern}' in {timeout_s:g} s")

    def wait_ready(self, ready: Ready, bell: socket.socket | None, open_socket: OpenSocket) -> None:
        """`bell` is where NOTIFY_SOCKET leads, for a program that notifies."""
        if ready.by is By.LINE:
            self.wait_line(ready.what, ready.within_s)
        elif ready.by is By.NOTIFY and bell is not None:
            self._wait_bell(bell, ready.within_s)
        elif ready.by is By.END:
            code = self.wait(ready.within_s)
            if code != 0:
                raise self._late(f"ended with exit code {code}")
        elif ready.by in {By.SOCKET, By.TCP}:
            self._wait_door(ready, open_socket)

    def _wait_bell(self, bell: socket.socket, within_s: float) -> None:
        deadline = time.monotonic() + within_s
        try:
            end = os.pidfd_open(self.pid)
        except ProcessLookupError:
            raise self._late("ended before it was ready") from None
        try:
            while True:
                rung, _, _ = select.select([bell.fileno(), end], [], [], max(0.0, deadline - time.monotonic()))
                if bell.fileno() in rung and b"READY=1" in bell.recv(4096).splitlines():
                    return
                if end in rung:
                    raise self._late("ended before it was ready")
                if not rung:
                    raise self._late(f"was not ready in {within_s:g} s")
        finally:
            os.close(end)

    def _wait_door(self, ready: Ready, open_socket: OpenSocket) -> None:
        deadline = time.monotonic() + ready.within_s
        while not is_open(ready, open_socket):
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(PAUSE_S)
                raise self._late("ended before it was ready")
            if time.monotonic() > deadline:
                raise self._late(f"did not listen at '{ready.what}' in {ready.within_s:g} s")

    def _listen(self) -> None:
        assert self._process.stdout is not None
        with self.log.open("ab", buffering=0) as log, self._process.stdout as said:
            for line in said:
                log.write(line)
                with self._said:
                    self._lines.append(line.decode("utf-8", "replace").rstrip("\n"))
                    self._said.notify_all()

    def _await_end(self) -> None:
        """Its end counts, and not that of its output, which children may hold open for ever."""
        self._process.wait()
        self._reader.join(LAST_WORDS_S)
        with self._said:
            self._is_silent = True
            self._said.notify_all()

    def _late(self, what: str) -> NotReadyError:
        self._reader.join(PAUSE_S)
        tail = "\n  ".join(self._lines[-SHOWN_LINES:]) or "(nothing)"
        return NotReadyError(f"'{self.name}' {what}; it wrote last:\n  {tail}")


def is_open(ready: Ready, open_socket: OpenSocket) -> bool:
    place: str | tuple[str, int] = ready.what
    family: int = socket.AF_UNIX
    if ready.by is By.TCP:
        host, _, port = ready.what.rpartition(":")
        place = (host.strip("[]"), int(port))
        family = socket.AF_INET6 if ":" in place[0] else socket.AF_INET
    with open_socket(family, socket.SOCK_STREAM) as probe:
        probe.settimeout(1)
        return probe.connect_ex(place) == 0
