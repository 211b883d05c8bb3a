"""Whose a namespace is, and its removal with all that runs in it. A name holds the owner's process id and start time,
so that one who is gone is known for certain: `skylab-<pid>-<start>-<number>.<node>`. Nothing else is ever touched.

Only the standard library: the warden loads this alone.
"""

from __future__ import annotations

import contextlib
import os
import re
import select
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

PREFIX = "skylab"
NAME = re.compile(rf"({PREFIX}-(\d+)-(\d+)-\d+)(\.[a-z0-9-]+)?")
NAMESPACES = Path("/run/netns")
DEADLINE_S = 60.0


def make_name(number: int) -> str:
    """The name of this process's lab of that number."""
    return f"{PREFIX}-{os.getpid()}-{start_of(os.getpid())}-{number}"


def start_of(pid: int) -> int | None:
    """When a process was started, in ticks since boot; None if there is none."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = text.rpartition(")")[2].split()
    return None if fields[0] in {"Z", "X"} else int(fields[19])


def is_orphan(name: str) -> bool:
    """Whether this is a lab's, or a node's of it, and its owner is gone."""
    found = NAME.fullmatch(name)
    return found is not None and start_of(int(found[2])) != int(found[3])


def namespaces() -> list[str]:
    try:
        return sorted(path.name for path in NAMESPACES.iterdir() if NAME.fullmatch(path.name))
    except FileNotFoundError:
        return []


def sweep() -> list[str]:
    """Removes what labs left whose owners are gone; returns the namespaces' names."""
    orphans = [name for name in namespaces() if is_orphan(name)]
    remove(orphans)
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}-*"):
        if is_orphan(folder.name) and folder.lstat().st_uid == os.getuid() and not folder.is_symlink():
            shutil.rmtree(folder, ignore_errors=True)
    return orphans


def sweep_lab(lab: str) -> None:
    """Removes one lab, whoever its owner is."""
    remove([name for name in namespaces() if name.startswith(f"{lab}.")])


def remove(names: Collection[str]) -> None:
    if not names:
        return
    end_all(names)
    lines = "".join(f"netns delete {name}\n" for name in names)
    words = ["ip", "-force", "-batch", "-"]  # another sweep may have taken some
    done = subprocess.run(words, input=lines, capture_output=True, text=True, check=False, timeout=DEADLINE_S)
    left = set(names) & set(namespaces())
    if left:
        raise OSError(f"namespaces {', '.join(sorted(left))} cannot be removed: {done.stderr.strip()}")


def end_all(names: Iterable[str], spare: Collection[int] = ()) -> None:
    """Kills what runs in these namespaces, also what is born meanwhile."""
    deadline = time.monotonic() + DEADLINE_S
    places = set(names)
    while pids := [pid for pid in inside(places) if pid not in spare]:
        if time.monotonic() > deadline:
            raise OSError(f"processes {pids} do not end")
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for pid in pids:
            wait_end(pid, deadline - time.monotonic())


def inside(names: Iterable[str]) -> Iterator[int]:
    """The processes whose network is one of these."""
    numbers = set()
    for name in names:
        with contextlib.suppress(FileNotFoundError):
            status = (NAMESPACES / name).stat()
            numbers.add((status.st_dev, status.st_ino))
    for entry in os.scandir("/proc"):
        if entry.name.isdecimal():
            with contextlib.suppress(OSError):  # it ended, or is a zombie, which has no network
                status = Path(entry.path, "ns/net").stat()
                if (status.st_dev, status.st_ino) in numbers:
                    yield int(entry.name)


def wait_end(pid: int, timeout_s: float) -> bool:
    """Whether the process ended in time; one that waits to be collected has."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([handle], [], [], max(0.0, timeout_s))[0])
    finally:
        os.close(handle)
