"""A root of our own for one test: this machine's files below, a folder in RAM above, in a mount namespace.

What is made there, users included, is nowhere else, and ends with the namespace.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from image.steps.root import SCRIPTS
from tests.house.tree import ROOT

MOUNTS = """
set -eu
mount -t tmpfs -o mode=755 claim "$1"
mkdir "$1/above" "$1/work" "$1/root"
mount -t overlay -o "lowerdir=/,upperdir=$1/above,workdir=$1/work" claim "$1/root"
for name in proc dev; do mount --rbind "/$name" "$1/root/$name"; done
echo mounted
exec sleep 3600
"""
WITHIN_S = 60.0


class Throwaway:
    """`root` is the folder as seen from here. Our programs lie in it where the card has them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.view = folder / "view"
        self._jobs: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        self.view.mkdir()
        words = ["unshare", "--mount", "--propagation", "private", "sh", "-c", MOUNTS, "sh", str(self.view)]
        self._holder = subprocess.Popen(words, stdout=subprocess.PIPE)
        assert self._holder.stdout is not None
        assert self._holder.stdout.readline() == b"mounted\n", "no mount namespace of our own can be had"
        self.root = Path(f"/proc/{self._holder.pid}/root/{self.view}/root")
        self._lay_programs()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for job in [*self._jobs, self._holder]:
            if job.poll() is None:
                job.send_signal(signal.SIGTERM)
                try:
                    job.wait(10)
                except subprocess.TimeoutExpired:
                    job.kill()
                    job.wait()
        assert self._holder.stdout is not None
        self._holder.stdout.close()

    def words(self, *words: str) -> list[str]:
        """The command that runs another one there."""
        inside = ["nsenter", f"--mount=/proc/{self._holder.pid}/ns/mnt", "chroot", f"{self.view}/root"]
        return [*inside, *words]

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(self.words(*words), capture_output=True, text=True, check=False, timeout=WITHIN_S)

    def start(self, log: str, *words: str) -> subprocess.Popen[bytes]:
        """Something that stays; what it says goes to a file of that name in our folder."""
        with (self.folder / log).open("ab") as file:
            job = subprocess.Popen(self.words(*words), stdin=subprocess.DEVNULL, stdout=file, stderr=file)
        self._jobs.append(job)
        return job

    def python(self, *words: str) -> list[str]:
        """Our Python as the card calls it."""
        return ["/usr/lib/skywire/bin/python3", "-I", *words]

    def _lay_programs(self) -> None:
        prefix = self.root / "usr/lib/skywire"
        for path in (sys.executable, os.path.realpath(sys.executable), str(ROOT / "x"), f"{sys.prefix}/lib/x"):
            self._open_way_to(Path(path))
        (prefix / "bin").mkdir(parents=True, exist_ok=True)
        (prefix / "bin/python3").write_text(
            f'#!/bin/sh\nshift\nexec env PYTHONPATH={ROOT} PYTHONDONTWRITEBYTECODE=1 {sys.executable} "$@"\n'
        )
        (prefix / "bin/python3").chmod(0o755)
        for script, name in SCRIPTS.items():
            shutil.copy(ROOT / script, prefix / "bin" / name)

    def _open_way_to(self, path: Path) -> None:
        """Our Python and our tree may lie in root's own folders; there, admin is to come through."""
        for folder in path.parents:
            place = self.root / str(folder).lstrip("/")
            if not place.stat().st_mode & 0o001:
                place.chmod(place.stat().st_mode | 0o055)


def wait_until(look: object, complaint: str, within_s: float = WITHIN_S) -> None:
    assert callable(look)
    end = time.monotonic() + within_s
    while not look():
        assert time.monotonic() < end, complaint
        time.sleep(0.05)


def can_have_a_root() -> bool:
    """Whether this machine lets us have a mount namespace."""
    return os.geteuid() == 0 and all(shutil.which(name) for name in ("unshare", "nsenter"))
