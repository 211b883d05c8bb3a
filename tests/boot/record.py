"""One session of an emulated board with every write of its card noted, and what the board said it keeps, with the size
the log had when it said so. From that, `cuts` makes power cuts at any moment of it.
"""

import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from image.emulator.board import Board, answers_ssh
from image.errors import EmulatorError
from tests.boot.bundle_server import BundleServer
from tests.boot.chain import FOLDER, send_program
from tests.boot.modules import put_module

GUEST = Path(__file__).with_name("cuts_guest.py")
DEADLINE_S = 900
EACH = 12
LATER_S = 1.0
BOOT_STATE = "the boot state"
NAME = "cut-board"
SETTINGS = f"name: {NAME}\nwifi: {{ssid: a network, password: correct horse battery}}\n"
"""With a secret, so that the set-up writes to the boot partition too."""

DURABLE = "/usr/lib/skywire/lib/python3.13/site-packages/viscript/durable.py"
FSYNC = "os.fsync(file)"
"""In `DURABLE`, of a folder: what makes a pet name's answer true. `forgetful` takes it away."""


@dataclass(frozen=True, slots=True)
class Promise:
    """When the log had `size` bytes, the board had said that `word` is kept in `path` of the data partition.

    `how`: the file has that SHA-256, or holds the text, or one of the files below the path does, or the messages do;
    of BOOT_STATE, which is no file, that the slot is the first to be started.
    """

    part: str
    size: int
    path: str
    how: str
    word: str


@dataclass(frozen=True, slots=True)
class Part:
    """A stretch of the session, as sizes of the log."""

    name: str
    begin: int
    end: int


@dataclass(frozen=True, slots=True)
class Session:
    """All that `cuts` needs; the files lie in `folder`: base.qcow2, writes.log, key, known_hosts."""

    folder: Path
    parts: tuple[Part, ...]
    promises: tuple[Promise, ...]

    @property
    def log(self) -> Path:
        return self.folder / "writes.log"

    def save(self) -> None:
        told = {"parts": [asdict(part) for part in self.parts], "promises": [asdict(one) for one in self.promises]}
        (self.folder / "session.json").write_text(json.dumps(told, indent=1))


def read_session(folder: Path) -> Session:
    told = json.loads((folder / "session.json").read_text())
    return Session(
        folder, tuple(Part(**one) for one in told["parts"]), tuple(Promise(**one) for one in told["promises"])
    )


class Recorder:
    """`board` was made with `write_log`; its card before power-on is kept beside it."""

    def __init__(self, board: Board, folder: Path) -> None:
        self.board, self._folder, self._log = board, folder, folder / "writes.log"
        self._parts: list[Part] = []
        self._promises: list[Promise] = []
        self._part = ""

    @property
    def session(self) -> Session:
        return Session(self._folder, tuple(self._parts), tuple(self._promises))

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """It ends a second after the last promise, so that cuts fall behind that, too."""
        begin, self._part = self._size(), name
        yield
        time.sleep(LATER_S)  # as much of the board's time as of ours
        self._parts.append(Part(name, begin, self._size()))

    def promise(self, path: str, how: str, word: str) -> None:
        self._promises.append(Promise(self._part, self._size(), path, how, word))

    def _size(self) -> int:
        return self._log.stat().st_size if self._log.exists() else 0

    def first_boot(self) -> None:
        """From power-on to the first answers: the keys that people have seen from then on."""
        board = self.board
        with self.part("boot"):
            board.power_on()
            board.wait_console("Starting kernel", DEADLINE_S)
            end = time.monotonic() + DEADLINE_S
            while not answers_ssh(board.port):
                if time.monotonic() > end:
                    raise EmulatorError("the board does not answer on SSH's port")
                time.sleep(0.2)
            scanned = board.run.text("ssh-keyscan", "-t", "ed25519", "-p", str(board.port), "127.0.0.1")
            self.promise("/etc/ssh/host_keys/ssh_host_ed25519_key.pub", "text", scanned.split()[-1])
        with self.part("set-up"):
            board.wait_ssh(DEADLINE_S, "admin", "sudo test -s /data/identity/seed && systemctl is-active viscript")
            asked = "cat /etc/machine-id; hostname; sudo cat /data/identity/seed | sha256sum"
            machine, host, seed = board.ssh(asked, user="admin").stdout.splitlines()
            self.promise("/etc/machine-id", "text", machine)
            self.promise("/identity/seed", "digest", seed.split()[0])
            if host == NAME:
                self.promise("/setup/etc/hostname", "text", host)
            board.wait_ssh(DEADLINE_S, "viscript", "status")

    def keep(self, kind: str, path: str, how: str, first: int = 0, count: int = EACH) -> None:
        """The guest's words, each promised as its line arrives."""
        program = f"sudo /usr/lib/skywire/bin/python3 -IB {FOLDER}/{GUEST.name} keep {kind} {first} {count}"
        with subprocess.Popen([*self.board.ssh_words("admin"), program], stdout=subprocess.PIPE, text=True) as asking:
            assert asking.stdout is not None
            for line in asking.stdout:
                said, _, word = line.strip().partition(f" {kind} ")
                if said != "kept":
                    raise EmulatorError(f"the board did not keep {kind}: {line.strip()}")
                self.promise(path, how, word)
        if asking.returncode:
            raise EmulatorError(f"keeping {kind} on the board ended with {asking.returncode}")

    def settings(self) -> None:
        send_program(self.board, GUEST)
        with self.part("settings"):
            self.keep("names", "/mesh/node/pets.yaml", "text")
            self.keep("vouched", "/mesh/manager/jetstream", "below")

    def messages(self) -> None:
        self.board.ssh("s meshnet-messenger")
        with self.part("messages"):
            self.keep("messages", "/mesh/messenger", "message")

    def update(self, bundle: Path) -> None:
        """Installed and not yet started: from then on the other slot is first."""
        with self.part("update"), BundleServer(bundle) as server:
            before = self._slot()
            self.board.ssh(f"update {server.url}", deadline_s=DEADLINE_S)
            after = self._slot()
            if after == before:
                raise EmulatorError(f"after the update slot '{after}' is still the first")
            self.promise(BOOT_STATE, "slot", after)

    def _slot(self) -> str:
        return self.board.ssh("sudo /usr/lib/skywire/bin/boot-backend get-primary", user="admin").stdout.strip()[-1]

    def forgetful(self) -> None:
        """Names again, kept by a node without the fsync of its folder: the harness must see that."""
        put_module(self.board, DURABLE, f"sed 's/{FSYNC}/pass/' {DURABLE}")
        self.board.ssh("sudo kill -9 $(systemctl show -P MainPID 'skywire-app-node-*' | head -n 1)", user="admin")
        with self.part("forgetful"):
            self.keep("names", "/mesh/node/pets.yaml", "text", first=1000)


def record(image: Path, folder: Path, *, watchdog: bool = False) -> Recorder:
    """A board that is ready to be recorded; its card is copied before anything is written to it."""
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / "writes.log"
    board = Board("virt", image, folder / "board", skywire_yaml=SETTINGS, watchdog=watchdog, write_log=log)
    board.run("cp", "--sparse=always", board.card, folder / "base.qcow2")
    return Recorder(board, folder)
