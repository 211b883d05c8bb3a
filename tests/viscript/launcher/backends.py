"""Both backends for the same tests: process groups as they are, units through a real starter on a fake
systemd.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import pwd
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from viscript.launcher.config import parse_config
from viscript.launcher.model import Launch, Process, Record
from viscript.launcher.process.door import Backend
from viscript.launcher.process.group import GroupBackend
from viscript.launcher.process.unit import UnitBackend

CONFIG = """
apps:
  sleeper: {path: sleeper, daemon: true}
  family: {path: family, daemon: true}
  stubborn: {path: stubborn, daemon: true}
  missing: {path: missing, daemon: true}
  leaver: {path: leaver, daemon: true}
  shell: {path: /bin/sh}
  daemon: {path: /bin/sh, daemon: true}
  other: {path: /bin/sh, user: nobody}
  root: {path: /bin/sh, user: root}
  stranger: {path: /bin/sh, user: nobody-of-that-name}
"""
PROGRAMS = {
    "sleeper": "exec sleep 60",
    "family": 'sleep 61 & echo $! > "$1"; sleep 62',
    "stubborn": 'trap "" TERM; echo ready > "$1"; while :; do sleep 1; done',
    # A double fork within the session, one out of it, and a child that does not mind its parent's end.
    "leaver": """
        (sleep 63 & echo $! > "$1.1")
        (setsid sleep 64 & echo $! > "$1.2")
        sleep 65 & echo $! > "$1.3"
        exit 7
    """,
}
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


@contextlib.contextmanager
def run_backend(kind: str, directory: Path) -> Iterator[Backend]:
    """A backend of that kind with the programs above."""
    for name, text in PROGRAMS.items():
        file = directory / name
        file.write_text(f"#!/bin/sh\n{text}\n")
        file.chmod(0o755)
    with make_backend(kind, directory, CONFIG) as made:
        yield made
        made.close()


def launch(directory: Path, name: str, *args: str, app_id: int = 2) -> Launch:
    app = parse_config(CONFIG, "CONFIG").apps[name]
    return Launch(app_id, app, args, (str(directory / app.path), *args), {})


def record(directory: Path, name: str, process: Process | None, app_id: int = 2) -> Record:
    return Record(app_id, name, (), (str(directory / name),), 0.0, process)


async def wait_file(path: Path) -> str:
    """What a program has written there, once it has."""
    await asyncio.to_thread(wait_until, lambda: path.exists() and path.read_text().strip())
    return await asyncio.to_thread(path.read_text)


def is_dead(pid: int) -> bool:
    state = Path(f"/proc/{pid}/stat")
    return not state.exists() or ") Z " in state.read_text()


def listens(path: Path) -> bool:
    """Whether somebody takes connections: the socket's file is there a moment earlier."""
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(str(path)) == 0


@contextlib.contextmanager
def run_starter(
    directory: Path, config: str, signal_address: str = "127.0.0.1:7999", image: Path | None = None
) -> Iterator[Path]:
    """A real starter as a process of its own; yields its socket."""
    path, units, file = directory / "starter.sock", directory / "units", directory / "config.yaml"
    units.mkdir()
    outputs = directory / "out"
    outputs.mkdir(mode=0o750)
    file.write_text(config)
    user = pwd.getpwuid(os.getuid()).pw_name
    options = ["--config", file, "--allow-user", user, "--prefix", directory, "--socket", path]
    options += ["--signal-address", signal_address, "--outputs", outputs]
    options += ["--image", image] if image is not None else []
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
