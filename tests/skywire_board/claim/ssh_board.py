"""A throwaway root with the card's users and SSH server, and people with keys: what ships is what is tried."""

import os
import shutil
import socket
import subprocess
from pathlib import Path
from typing import Self

from tests.house.tree import ROOT
from tests.skywire_board.throwaway import WITHIN_S, Throwaway, can_have_a_root, wait_until
from tests.viscript.daemon import free_port

CARD = ROOT / "rootfs_overlay"
UID = {"admin": 60986, "viscript": 60988, "skywire-claim": 60979}


class SshBoard(Throwaway):
    """`port` is where the server listens on loopback."""

    def __enter__(self) -> Self:
        super().__enter__()
        self._lay_card()
        return self

    def serve_ssh(self) -> None:
        """The server with the card's own configuration; only port and address are ours."""
        self.port = free_port()
        checked = self.run("/usr/sbin/sshd", "-t")
        assert checked.returncode == 0, checked.stderr
        options = ["-o", "ListenAddress=127.0.0.1", "-p", str(self.port)]
        self.start("sshd.log", "/usr/sbin/sshd", "-D", "-e", *options)
        wait_until(lambda: greets(self.port), "sshd does not greet")

    def _lay_card(self) -> None:
        root = self.root
        for name, uid in UID.items():
            shell = {"admin": "/bin/bash", "viscript": "/bin/sh"}.get(name, "/usr/sbin/nologin")
            with (root / "etc/passwd").open("a") as passwd, (root / "etc/group").open("a") as group:
                passwd.write(f"{name}:x:{uid}:{uid}::/home/{name}:{shell}\n")
                group.write(f"{name}:x:{uid}:\n")
            with (root / "etc/shadow").open("a") as shadow:
                shadow.write(f"{name}:*:20000::::::\n")
            (root / "home" / name).mkdir(mode=0o700)
            os.chown(root / "home" / name, uid, uid)
        shutil.copy(CARD / "etc/ssh/sshd_config", root / "etc/ssh/sshd_config")
        (root / "etc/ssh/host_keys").mkdir(mode=0o700)
        self._make_host_key()
        for path in ("run/sshd", "run/skywire", "data/owner/authorized_keys.d", "boot/firmware"):
            (root / path).mkdir(mode=0o755, parents=True, exist_ok=True)

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


def greets(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as link:
            return link.recv(4) == b"SSH-"
    except OSError:
        return False


def have_tools() -> bool:
    return can_have_a_root() and all(shutil.which(name) for name in ("sshd", "ssh"))
