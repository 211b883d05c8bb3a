"""Both backends for the same tests: process groups as they are, units through a real starter on a fake
systemd.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from viscript.launcher.process.door import Backend
from viscript.launcher.process.group import GroupBackend
from viscript.launcher.process.unit import UnitBackend

ROOT = Path(__file__).parents[3]
FAKES = Path(__file__).with_name("fakes")


@contextlib.contextmanager
def make_backend(kind: str, directory: Path, config: str) -> Iterator[Backend]:
    """A backend whose programs are those of `config`, with `directory` as the prefix."""
    if kind == "group":
        (directory / "config.yaml").write_text(config)
        (directory / "state").mkdir(exist_ok=True)
        yield GroupBackend(directory / "state", directory / "config.yaml")
        return
    with run_starter(directory, config) as path:
        yield UnitBackend(path, outputs=directory / "out")


def listens(path: Path) -> bool:
    """Whether somebody takes connections: the socket's file is there a moment earlier."""
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(str(path)) == 0


@contextlib.contextmanager
def run_starter(directory: Path, config: str, signal_address: str = "127.0.0.1:7999") -> Iterator[Path]:
    """A real starter as a process of its own; yields its socket."""
    path, units, file = directory / "starter.sock", directory / "units", directory / "config.yaml"
    units.mkdir()
    outputs = directory / "out"
    outputs.mkdir(mode=0o750)
    file.write_text(config)
    user = pwd.getpwuid(os.getuid()).pw_name
    options = ["--config", file, "--allow-user", user, "--prefix", directory, "--socket", path]
    options += ["--signal-address", signal_address, "--outputs", outputs]
    words = [str(option) for option in options]
    starter = subprocess.Popen(
        [sys.executable, "-m", "viscript.launcher.starter", *words], env=starter_environment(units)
    )
    try:
        wait_until(lambda: listens(path))
        yield path
    finally:
        starter.terminate()
        starter.wait()


def starter_environment(units: Path) -> dict[str, str]:
    return {
        **os.environ,
        "PATH": f"{FAKES}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "FAKE_SYSTEMD": str(units),
    }


def wait_until(is_so: object, deadline_s: float = 20) -> None:
    """Poll something outside of us, with a deadline."""
    assert callable(is_so)
    end = time.monotonic() + deadline_s
    while not is_so():
        assert time.monotonic() < end, f"not within {deadline_s} s"
        time.sleep(0.02)
