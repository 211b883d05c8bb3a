"""The door to the machine: ip, tc and nft, and sockets inside a namespace. Each call names the namespace it acts in;
what a program refuses is raised with its own words.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Thread
from typing import TypeVar

from tests.laboratory.errors import CommandError, MissingError
from tests.laboratory.sweep import NAMESPACES

DEADLINE_S = 60.0
PAUSE_S = 0.05
PROGRAMS = {"ip": "iproute2", "tc": "iproute2", "nft": "nftables", "nsenter": "util-linux", "unshare": "util-linux"}
MESH_PROGRAMS = {"nats-server": "nats-server", "wireguard-go": "wireguard-go"}
NEW_NETWORK = 0x40000000
Result = TypeVar("Result")


def check_machine(*, meshed: bool = False) -> None:
    """Raises MissingError with what to do about it. `meshed`: the mesh's own programs run on the hosts."""
    if os.geteuid() != 0:
        raise MissingError("the laboratory makes network namespaces, which only root may (run: sudo tests/lab …)")
    needed = PROGRAMS | (MESH_PROGRAMS if meshed else {})
    missing = sorted({package for program, package in needed.items() if shutil.which(program) is None})
    if missing:
        raise MissingError(f"missing packages {', '.join(missing)} (run: apt-get install {' '.join(missing)})")


def ip(lines: str, place: str | None = None) -> None:
    """Runs a batch of ip's, in a namespace or outside of all."""
    _feed(_ip_words(place), lines, place)


def ip_everywhere(batches: Mapping[str, str]) -> None:
    """A batch in each namespace, all at once."""
    in_parallel(lambda item: ip(item[1], item[0]), list(batches.items()))


def settle(devices: Mapping[str, list[str]]) -> None:
    """Waits until these devices (namespace → names) pass packets. The kernel looks only once a second for carriers that
    came up, except for a device that is asked after; older kernels take that second.
    """
    deadline = time.monotonic() + DEADLINE_S

    def wait(item: tuple[str, list[str]]) -> None:
        lines = "".join(f"link show dev {device}\n" for device in item[1])
        while " state DOWN " in _feed(["ip", "-n", item[0], "-o", "-batch", "-"], lines, item[0]):
            if time.monotonic() > deadline:
                raise CommandError(f"the devices {item[1]} of '{item[0]}' do not come up")
            time.sleep(PAUSE_S)

    in_parallel(wait, [item for item in devices.items() if item[1]])


def tc(lines: str, place: str) -> None:
    if lines:
        _feed(["tc", "-n", place, "-batch", "-"], lines, place)


def nft(lines: str, place: str) -> None:
    _feed(["ip", "netns", "exec", place, "nft", "-f", "-"], lines, place)


def nft_json(place: str, *words: str) -> str:
    return _feed(["ip", "netns", "exec", place, "nft", "-j", *words], "", place)


def links(place: str) -> list[str]:
    """The names of a namespace's devices."""
    listed = _feed(["ip", "-n", place, "-o", "link"], "", place).splitlines()
    return [line.split(": ")[1].partition("@")[0] for line in listed]


def has_netem(place: str) -> bool:
    """Tried on a namespace's loopback device, and taken away again."""
    try:
        tc("qdisc add dev lo root netem delay 1ms\nqdisc del dev lo root\n", place)
    except CommandError:
        return False
    return True


def in_parallel(task: Callable[[Result], object], items: list[Result]) -> None:
    """Raises the first error, once all have ended."""
    with ThreadPoolExecutor(max_workers=16) as pool:
        for done in [pool.submit(task, item) for item in items]:
            done.result()


def open_socket(place: str, family: int, kind: int, protocol: int = 0) -> socket.socket:
    """A socket of ours that lives in another namespace: a thread enters it, opens the socket, and ends."""
    made: list[socket.socket | OSError] = []

    def enter() -> None:
        try:
            with Path(NAMESPACES, place).open("rb") as file:
                if ctypes.CDLL(None, use_errno=True).setns(file.fileno(), NEW_NETWORK) != 0:
                    raise OSError(ctypes.get_errno(), f"cannot enter namespace '{place}'")
            made.append(socket.socket(family, kind, protocol))
        except OSError as error:
            made.append(error)

    thread = Thread(target=enter)
    thread.start()
    thread.join(DEADLINE_S)
    if isinstance(made[0], OSError):
        raise made[0]
    return made[0]


def _ip_words(place: str | None) -> list[str]:
    return ["ip", *(["-n", place] if place else []), "-batch", "-"]


def _feed(words: list[str], lines: str, place: str | None) -> str:
    done = subprocess.run(words, input=lines, capture_output=True, text=True, check=False, timeout=DEADLINE_S)
    if done.returncode != 0:
        where = f" in '{place}'" if place else ""
        raise CommandError(f"'{' '.join(words)}'{where}: {done.stderr.strip()}\nwhere it was told:\n{lines}")
    return done.stdout
