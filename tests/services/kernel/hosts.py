"""Hosts as network namespaces with real processes in them. Names tell whose they are: what a killed test run left
behind is swept away by the next one, and what belongs to a run still going is left alone.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[3]
PREFIX = "kern-"
DEADLINE_S = 90.0
HOLD = "mkdir -p /run/wireguard && mount -t tmpfs none /run/wireguard && echo ready && exec cat"
"""A mount namespace of its own: wireguard-go's sockets of all network namespaces would share one folder."""


class Host:
    """A namespace, the process that holds it, and the agent in it."""

    def __init__(self, name: str) -> None:
        self.name = f"{PREFIX}{os.getpid()}-{name}"
        ip("netns", "add", self.name)
        ip("-n", self.name, "link", "set", "lo", "up")
        words = ["ip", "netns", "exec", self.name, "sh", "-c", HOLD]
        self._holder = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self._holder.stdout is not None
        assert self._holder.stdout.readline() == b"ready\n"
        self._agent: subprocess.Popen[bytes] | None = None

    def inside(self) -> list[str]:
        return ["nsenter", f"--target={self._holder.pid}", "--net", "--mount"]

    def run(self, *words: str, ok: bool = True) -> str:
        done = subprocess.run([*self.inside(), *words], capture_output=True, text=True, check=False, timeout=DEADLINE_S)
        assert done.returncode == 0 or not ok, f"{words}: {done.stdout}{done.stderr}"
        return done.stdout

    def pings(self, address: object, *options: str) -> bool:
        """Whether one of a few pings is answered."""
        for _ in range(8):
            words = [*self.inside(), "ping", "-c1", "-W1", *options, str(address)]
            if subprocess.run(words, capture_output=True, check=False, timeout=DEADLINE_S).returncode == 0:
                return True
        return False

    def pings_in_vain(self, address: object, *options: str) -> None:
        """Sends three pings and waits a moment for answers, which must not come."""
        words = [*self.inside(), "ping", "-c3", "-i0.05", "-W0.3", *options, str(address)]
        assert subprocess.run(words, capture_output=True, check=False, timeout=DEADLINE_S).returncode == 1, words

    def python(self, *words: str) -> bool:
        """Whether a short program ends well."""
        done = subprocess.run([*self.inside(), sys.executable, *words], capture_output=True, check=False, timeout=30)
        return done.returncode == 0

    def popen(self, *words: str) -> subprocess.Popen[bytes]:
        """A program that says a line once it is ready."""
        started = subprocess.Popen([*self.inside(), sys.executable, *words], stdout=subprocess.PIPE)
        assert started.stdout is not None
        assert started.stdout.readline() == b"\n"
        return started

    def call(self, verb: str, *words: object) -> Any:
        result, _ = self.timed(verb, *words)
        return result

    def timed(self, verb: str, *words: object) -> tuple[Any, float]:
        agent = self._agent or self._start()
        assert agent.stdin is not None
        assert agent.stdout is not None
        pickle.dump((verb, words), agent.stdin)
        agent.stdin.flush()
        ready, _, _ = select.select([agent.stdout], [], [], DEADLINE_S)
        assert ready, f"'{verb}' had no answer in {DEADLINE_S:.0f} s"
        result, seconds = pickle.load(agent.stdout)  # noqa: S301  # our own child
        if isinstance(result, Exception):
            raise result
        return result, seconds

    def end(self, program: str) -> None:
        """Kills the one process of the namespace that was started with these words, and waits until it is gone."""
        pids = [int(pid) for pid in ip("netns", "pids", self.name).split()]
        (pid,) = [pid for pid in pids if program.split() == Path(f"/proc/{pid}/cmdline").read_text().split("\0")[:-1]]
        os.kill(pid, signal.SIGKILL)
        wait_gone(pid, time.monotonic() + DEADLINE_S)

    def crash(self) -> None:
        """The node process dies without a word; the next call starts another."""
        if self._agent:
            self._agent.kill()
            self._agent.communicate()
            self._agent = None

    def close(self) -> None:
        self.crash()
        sweep_one(self.name)
        self._holder.communicate()

    def _start(self) -> subprocess.Popen[bytes]:
        words = [*self.inside(), f"--wdns={ROOT}", sys.executable, "-m", "tests.services.kernel.agent"]
        self._agent = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        return self._agent


def ip(*words: str) -> str:
    return subprocess.run(["ip", *words], capture_output=True, text=True, check=True, timeout=DEADLINE_S).stdout


def cable(left: Host, right: Host, number: int) -> None:
    """A cable between two hosts, on interface `e<number>`: 10.0.<number>.1 on the left, .2 on the right."""
    name = f"e{number}"
    ip("link", "add", name, "netns", left.name, "type", "veth", "peer", "name", name, "netns", right.name)
    for end, host in enumerate((left, right), 1):
        ip("-n", host.name, "address", "add", f"10.0.{number}.{end}/24", "dev", name)
        ip("-n", host.name, "link", "set", name, "up")


def joined(middle: Host, *hosts: Host) -> None:
    """Every host has a cable to the middle, which routes; its own address is 10.0.<its place, from 1>.1."""
    middle.run("sysctl", "-qw", "net.ipv4.ip_forward=1")
    for place, host in enumerate(hosts, 1):
        cable(host, middle, place)
        ip("-n", host.name, "route", "add", "default", "via", f"10.0.{place}.2")


def sweep() -> None:
    """Removes what earlier runs left, if the process that made it is gone."""
    for name in names():
        owner = name.removeprefix(PREFIX).partition("-")[0]
        if not Path("/proc", owner).exists():
            sweep_one(name)


def names() -> list[str]:
    return [line.split()[0] for line in ip("netns", "list").splitlines() if line.startswith(PREFIX)]


def sweep_one(name: str) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while pids := ip("netns", "pids", name).split():
        assert time.monotonic() < deadline, f"processes {pids} of '{name}' do not end"
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)
        for pid in pids:
            wait_gone(int(pid), deadline)
    ip("netns", "delete", name)


def wait_gone(pid: int, deadline: float) -> None:
    """Our own children stay as zombies until collected; a zombie is in no namespace any more."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        select.select([handle], [], [], max(0.0, deadline - time.monotonic()))
    finally:
        os.close(handle)
