"""A real viscript daemon with real applications, as processes of their own under a directory of the test."""

from __future__ import annotations

import contextlib
import itertools
import os
import random
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.viscript.launcher.backends import wait_until
from viscript.api.client import ApiClient

ROOT = Path(__file__).parents[2]
CONFIG = """
apps:
  apptracker:
    daemon: true
    desc: Directory of applications
    path: bin/apptracker
    default_args: ["127.0.0.1:0"]
    help: |
      [1] Address to listen on
  deaf:
    daemon: true
    desc: Hears no signal
    path: bin/deaf
    stop_timeout_s: 0.3
  brief: {path: bin/brief}
  parrot: {path: bin/parrot, desc: Says what it hears}
"""
PROGRAMS = {
    "apptracker": f'exec {sys.executable} -m services.apptracker "$@"',
    "deaf": 'trap "" TERM; while :; do sleep 0.2; done',
    "brief": "exit 3",
    "parrot": "echo ready; exec cat",
}

PORTS = itertools.count(random.randrange(1000))
"""From another place in each run."""


def free_port() -> int:
    """Below those that the kernel gives to whoever asks for any, and of this process of `tests/run` alone: it is still
    free when the program under test comes to bind it.
    """
    process = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    while True:
        port = 20_000 + 1000 * process + next(PORTS) % 1000
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


class Daemon:
    """`viscript headless` in a directory; `shell` runs one-shot commands against it."""

    def __init__(self, directory: Path, config: str = CONFIG) -> None:
        self.directory = directory
        self.socket = directory / "state" / "api.sock"
        self.log = directory / "log"
        self.environment = {
            name: value for name, value in os.environ.items() if not name.startswith(("SIGNAL_", "VISCRIPT_"))
        } | {"PYTHONPATH": str(ROOT), "VISCRIPT_SOCKET": str(self.socket)}
        self.signal_address = f"127.0.0.1:{free_port()}"
        self._process: subprocess.Popen[bytes] | None = None
        (directory / "config.yaml").write_text(config)
        (directory / "bin").mkdir()
        for name, text in PROGRAMS.items():
            file = directory / "bin" / name
            file.write_text(f"#!/bin/sh\n{text}\n")
            file.chmod(0o755)

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self, *options: str) -> None:
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*self.command(), *options],
                env=self.environment,
                stderr=log,
            )
        wait_until(self.is_up)

    def command(self) -> list[str]:
        return [sys.executable, "-m", "viscript", *self.arguments()]

    def arguments(self) -> list[str]:
        named = {
            "--config": self.directory / "config.yaml",
            "--state-dir": self.directory / "state",
            "--prefix": self.directory,
            "--signal-address": self.signal_address,
        }
        return ["headless", *(str(word) for pair in named.items() for word in pair)]

    def is_up(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self.log.read_text()
        with socket.socket(socket.AF_UNIX) as probe:
            return probe.connect_ex(str(self.socket)) == 0

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        assert self._process is not None
        self._process.send_signal(number)
        return self._process.wait(20)

    def shell(self, *words: str, given: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "viscript", *words],
            env=self.environment,
            input=given,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def say(self, *words: str) -> str:
        """The output of a command that must succeed."""
        done = self.shell(*words)
        assert done.returncode == 0, done
        return done.stdout

    def api(self) -> ApiClient:
        return ApiClient(self.socket, 30)

    def end_everything(self) -> None:
        if self._process is not None and self._process.poll() is None:
            for line in self.say("list_apps").splitlines():
                if line.startswith("[ "):
                    self.shell("shutdown", line.split()[1])
            self.stop()


@contextlib.contextmanager
def run_daemon(directory: Path, config: str = CONFIG) -> Iterator[Daemon]:
    daemon = Daemon(directory, config)
    try:
        daemon.start()
        yield daemon
    finally:
        daemon.end_everything()
