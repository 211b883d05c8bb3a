"""A root of our own for one test: this machine's files below, a folder in RAM above, in a mount namespace.

What is made there, users included, is nowhere else, and ends with the namespace. The card's own sshd_config and users
are laid in it, so that what ships is what is tried.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from image.steps.root import SCRIPTS
from tests.house.tree import ROOT

CARD = ROOT / "rootfs_overlay"
UID = {"admin": 60986, "viscript": 60988, "skywire-claim": 60979}
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
    """The root, with the card's users and SSH server set up in it; `port` is where the server listens on loopback."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._view = folder / "view"
        self._jobs: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        self._view.mkdir()
        words = ["unshare", "--mount", "--propagation", "private", "sh", "-c", MOUNTS, "sh", str(self._view)]
        self._holder = subprocess.Popen(words, stdout=subprocess.PIPE)
        assert self._holder.stdout is not None
        assert self._holder.stdout.readline() == b"mounted\n", "no mount namespace of our own can be had"
        self.root = Path(f"/proc/{self._holder.pid}/root/{self._view}/root")
        self._lay_card()
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
        inside = ["nsenter", f"--mount=/proc/{self._holder.pid}/ns/mnt", "chroot", f"{self._view}/root"]
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

    def serve_ssh(self) -> None:
        """The server with the card's own configuration; only port and address are ours."""
        self.port = free_port()
        checked = self.run("/usr/sbin/sshd", "-t")
        assert checked.returncode == 0, checked.stderr
        options = ["-o", "ListenAddress=127.0.0.1", "-p", str(self.port)]
        self.start("sshd.log", "/usr/sbin/sshd", "-D", "-e", *options)
        wait_until(lambda: greets(self.port), "sshd does not greet")

    def _lay_card(self) -> None:
        root, prefix = self.root, self.root / "usr/lib/skywire"
        for name, uid in UID.items():
            shell = {"admin": "/bin/bash", "viscript": "/bin/sh"}.get(name, "/usr/sbin/nologin")
            with (root / "etc/passwd").open("a") as passwd, (root / "etc/group").open("a") as group:
                passwd.write(f"{name}:x:{uid}:{uid}::/home/{name}:{shell}\n")
                group.write(f"{name}:x:{uid}:\n")
            with (root / "etc/shadow").open("a") as shadow:
                shadow.write(f"{name}:*:20000::::::\n")
            (root / "home" / name).mkdir(mode=0o700)
            os.chown(root / "home" / name, uid, uid)
        for path in (sys.executable, os.path.realpath(sys.executable), str(ROOT / "x"), f"{sys.prefix}/lib/x"):
            self._open_way_to(Path(path))
        (prefix / "bin").mkdir(parents=True)
        (prefix / "bin/python3").write_text(
            f'#!/bin/sh\nshift\nexec env PYTHONPATH={ROOT} PYTHONDONTWRITEBYTECODE=1 {sys.executable} "$@"\n'
        )
        (prefix / "bin/python3").chmod(0o755)
        for script, name in SCRIPTS.items():
            shutil.copy(ROOT / script, prefix / "bin" / name)
        shutil.copy(CARD / "etc/ssh/sshd_config", root / "etc/ssh/sshd_config")
        (root / "etc/ssh/host_keys").mkdir(mode=0o700)
        self._make_host_key()
        for path in ("run/sshd", "run/skywire", "data/owner/authorized_keys.d", "boot/firmware"):
            (root / path).mkdir(mode=0o755, parents=True, exist_ok=True)

    def _open_way_to(self, path: Path) -> None:
        """Our Python and our tree may lie in root's own folders; there, admin is to come through."""
        for folder in path.parents:
            place = self.root / str(folder).lstrip("/")
            if not place.stat().st_mode & 0o001:
                place.chmod(place.stat().st_mode | 0o055)

    def _make_host_key(self) -> None:
        place = "/etc/ssh/host_keys/ssh_host_ed25519_key"
        made = self.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", place)
        assert made.returncode == 0, made.stderr


class Person:
    """Somebody with a key of their own and the real ssh."""

    def __init__(self, folder: Path, name: str, port: int) -> None:
        self.key, self._port = folder / name, port
        subprocess.run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", self.key], check=True, timeout=WITHIN_S
        )

    @property
    def public(self) -> str:
        """Type and base64."""
        return " ".join(self.key.with_suffix(".pub").read_text().split()[:2])

    def words(self, user: str, command: str, *options: str) -> list[str]:
        safe = ["UserKnownHostsFile=/dev/null", "StrictHostKeyChecking=no", "IdentitiesOnly=yes", "LogLevel=ERROR"]
        options = (*options, *(f"-o{option}" for option in (*safe, "BatchMode=yes", "ConnectTimeout=30")))
        return ["ssh", "-F", "none", "-i", str(self.key), "-p", str(self._port), *options, f"{user}@127.0.0.1", command]

    def ssh(self, user: str, command: str, *options: str) -> subprocess.CompletedProcess[str]:
        words = self.words(user, command, *options)
        return subprocess.run(words, capture_output=True, text=True, check=False, timeout=WITHIN_S)

    def lock_away(self) -> None:
        """The public half stays; the private one is behind a passphrase that nobody types."""
        subprocess.run(
            ["ssh-keygen", "-q", "-p", "-P", "", "-N", "unknown to all", "-f", self.key], check=True, timeout=WITHIN_S
        )

    def forward_to(self, port: int) -> str:
        """What somebody at that port of the server's loopback said first."""
        words = self.words("admin", "", "-W", f"127.0.0.1:{port}")[:-1]
        try:
            done = subprocess.run(words, input=b"", capture_output=True, check=False, timeout=WITHIN_S)
        except subprocess.TimeoutExpired as error:
            return (error.stdout or b"").decode()
        return done.stdout.decode()


def wait_until(look: object, complaint: str, within_s: float = WITHIN_S) -> None:
    assert callable(look)
    end = time.monotonic() + within_s
    while not look():
        assert time.monotonic() < end, complaint
        time.sleep(0.05)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def greets(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as link:
            return link.recv(4) == b"SSH-"
    except OSError:
        return False


def have_tools() -> bool:
    return os.geteuid() == 0 and all(shutil.which(name) for name in ("unshare", "nsenter", "sshd", "ssh"))
