"""One running emulated board: started from the image, watched on its console, reached over SSH, pressed, stopped.

Every wait is for something the board says or does, and has a deadline; when it passes, the error shows what was last
seen.
"""

import re
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType, TracebackType
from typing import NoReturn, TypeVar

import msgspec

from image.boards import read_boards
from image.emulator.card import make_card, take_files
from image.emulator.door import Qmp, Qtest
from image.emulator.lan import Lan, hardware_address
from image.emulator.machine import MACHINES, Machine, Wiring, command_line
from image.emulator.pins import Bcm2835, Block, Pins, Pl061
from image.errors import EmulatorError, NobodyError
from image.recipe import read_recipe
from image.run import Runner

LOOK_EVERY_S = 0.1
SSH_CONFIG = """\
Host board
  HostName 127.0.0.1
  Port {port}
  IdentityFile {folder}/key
  IdentitiesOnly yes
  UserKnownHostsFile {folder}/known_hosts
  StrictHostKeyChecking accept-new
  BatchMode yes
  ConnectTimeout 60
  ServerAliveInterval 15
  ServerAliveCountMax 8
  LogLevel ERROR
"""

T = TypeVar("T")


class Board:
    """A board in QEMU. `folder` holds its card, sockets, key and logs, and is the caller's to remove.

    `login` puts the folder's key on the boot partition, as `keys` saves it, `skywire_yaml` that text. `lan` is a second
    interface, on a switch that other boards are on too; `watchdog` an i6300esb; `write_log` a file that gets every
    write and flush of the card since the last power-on (QEMU's blklogwrites, in dm-log-writes' format). The last two
    are virt's.
    """

    def __init__(
        self,
        machine: str,
        image: Path,
        folder: Path,
        *,
        login: bool = True,
        keys: Callable[[str], bytes] = str.encode,
        skywire_yaml: str | None = None,
        lan: Lan | None = None,
        watchdog: bool = False,
        write_log: Path | None = None,
    ) -> None:
        self.machine, self.folder, self.image = MACHINES[machine], folder, image
        folder.mkdir(parents=True, exist_ok=True)
        self._log = AppendedLog(folder / "host.log")
        self.run = Runner(self._log, 0)
        disk = read_recipe().disk
        self.key = folder / "key"
        if not self.key.exists():
            self.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "emulator", "-f", self.key)
        files = {name: text.encode() for name, text in settings_files(self.machine, skywire_yaml).items()}
        if login:
            files["authorized_keys"] = keys(self.key.with_suffix(".pub").read_text())
        self.card = make_card(self.run, image, disk, folder, files)
        self._files = take_files(self.run, image, disk, self.machine.files, folder)
        self.gpio = next(board.gpio for board in read_boards() if board.slug == self.machine.board)
        self.port = free_port()
        name = str(folder.absolute())
        self._wiring = Wiring(
            port=self.port,
            mac=hardware_address(name, 0),
            lan_mac=hardware_address(name, 1),
            lan=lan.netdev if lan else None,
            watchdog=watchdog,
            write_log=write_log,
        )
        (folder / "ssh").write_text(SSH_CONFIG.format(port=self.port, folder=folder.absolute()))
        self.started = 0.0

    def __enter__(self) -> "Board":
        self.power_on()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def power_on(self) -> None:
        """Starts QEMU with the button released before the first instruction runs."""
        for name in ("qtest", "qmp", "console"):
            (self.folder / f"{name}.sock").unlink(missing_ok=True)
        if self._wiring.write_log is not None:
            self._wiring.write_log.write_bytes(b"")
        words = command_line(self.machine, self.folder, self._files, self._wiring)
        self.run.say("$ " + " ".join(words))
        # in a session of its own, so that Ctrl+C at the terminal reaches us alone and the board ends in order
        with self._log.path.open("a") as log:
            self._qemu = subprocess.Popen(
                words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        try:
            self._qtest = self._await("QEMU's qtest", lambda: connect(Qtest, self.folder / "qtest.sock"), 60)
            self.qmp = self._await("QEMU's QMP", lambda: connect(Qmp, self.folder / "qmp.sock"), 60)
            block: Block = Bcm2835(self._qtest) if self.machine.pins == "bcm2835" else Pl061(self._qtest, self.qmp)
            self.pins = Pins(block, self.gpio)
            self.pins.button(pressed=False)
            self.qmp.ask("cont")
        except BaseException:
            self.close()
            raise
        self.started = time.monotonic()

    def wear(self, *sectors: int) -> None:
        """From the next power-on, reads of these sectors of the card (512 bytes each) fail, and of no others."""
        self._wiring = msgspec.structs.replace(self._wiring, bad_sectors=sectors)

    @property
    def seconds(self) -> float:
        """Since power-on."""
        return time.monotonic() - self.started

    def console(self) -> str:
        """Everything the board said on its serial console so far."""
        path = self.folder / "console.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def wait_console(self, pattern: str, deadline_s: float) -> re.Match[str]:
        """The first place on the console that matches; EmulatorError with the last lines when the deadline passes."""
        return self._await(f"'{pattern}' on the console", lambda: re.search(pattern, self.console()), deadline_s)

    def wait_ssh(self, deadline_s: float, user: str = "viscript", command: str = "status") -> str:
        """What a command over SSH printed, tried until the board lets us in."""

        def attempt() -> str | None:
            if not answers_ssh(self.port):
                return None
            done = self.ssh(command, user=user, check=False)
            return done.stdout if done.returncode == 0 else None

        return self._await(f"an answer to '{command}' over SSH", attempt, deadline_s)

    def ssh(
        self,
        command: str,
        *,
        user: str = "viscript",
        check: bool = True,
        deadline_s: float = 180,
        options: tuple[str, ...] = (),
        stdin: str = "",
    ) -> subprocess.CompletedProcess[str]:
        """Runs one command line over SSH, as ssh(1) would pass it."""
        words = [*self.ssh_words(user), *options, *([command] if command else [])]
        try:
            done = subprocess.run(words, input=stdin, capture_output=True, text=True, timeout=deadline_s, check=False)
        except subprocess.TimeoutExpired as error:
            raise EmulatorError(f"ssh {user}@board '{command}' gave no result within {deadline_s:.0f} s") from error
        if check and done.returncode:
            raise EmulatorError(
                f"ssh {user}@board '{command}' ended with {done.returncode}: {done.stdout}{done.stderr}"
            )
        return done

    def ssh_words(self, user: str) -> list[str]:
        """The command that a person would type, with this board's key and port."""
        return ["ssh", "-F", str(self.folder / "ssh"), f"{user}@board"]

    def send(self, data: bytes, command: str, *, user: str, deadline_s: float = 180) -> str:
        """Feeds bytes to a command's standard input over SSH; what it printed."""
        return self.run(*self.ssh_words(user), command, stdin=data, timeout_s=deadline_s).decode()

    def open_shell(self) -> int:
        """Hands this terminal to the board's viscript shell over SSH; returns the shell's exit code."""
        return subprocess.run([*self.ssh_words("viscript"), "-t"], check=False).returncode

    def press(self, seconds: float) -> None:
        """Presses the button from outside and lets go again."""
        self.pins.button(pressed=True)
        time.sleep(seconds)  # a press lasts as long as a finger does
        self.pins.button(pressed=False)

    def watch_lights(self, seconds: float, every_s: float = 0.02) -> list[tuple[float, bool, bool]]:
        """Samples of (seconds since power-on, status light, activity light)."""
        end = time.monotonic() + seconds
        seen = []
        while time.monotonic() < end:
            status, activity = self.pins.lights()
            seen.append((self.seconds, status, activity))
            time.sleep(every_s)
        return seen

    def wait_off(self, deadline_s: float) -> None:
        """Until the board has switched itself off."""
        self._await("power-off", lambda: self._qemu.poll() is not None or None, deadline_s, ended_is_fine=True)

    @property
    def running(self) -> bool:
        return self._qemu.poll() is None

    def close(self) -> None:
        """Ends QEMU, as pulling the plug would."""
        for door in (getattr(self, "_qtest", None), getattr(self, "qmp", None)):
            if door is not None:
                door.close()
        if self._qemu.poll() is None:
            self._qemu.send_signal(signal.SIGTERM)
            try:
                self._qemu.wait(30)
            except subprocess.TimeoutExpired:
                self._qemu.kill()
                self._qemu.wait()

    def _await(self, what: str, look: Callable[[], T | None], deadline_s: float, *, ended_is_fine: bool = False) -> T:
        end = time.monotonic() + deadline_s
        while True:
            found = look()
            if found:
                return found
            if self._qemu.poll() is not None and not ended_is_fine:
                raise EmulatorError(f"the emulator ended ({self._qemu.returncode}) before {what}; {self._last_seen()}")
            if time.monotonic() > end:
                raise EmulatorError(f"no {what} within {deadline_s:.0f} s; {self._last_seen()}")
            time.sleep(LOOK_EVERY_S)

    def _last_seen(self) -> str:
        lines = self.console().splitlines()[-12:]
        return "last on the console:\n  " + "\n  ".join(lines) + f"\n(all of it in '{self.folder}')"


class AppendedLog:
    """A log that is open only while something is written to it: a board may be switched on and off many times."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.touch()

    def write(self, text: str) -> int:
        with self.path.open("a") as file:
            return file.write(text)

    def flush(self) -> None:
        """Every write is flushed already."""


def connect(door: Callable[[Path], T], path: Path) -> T | None:
    """None while nobody listens: the file is there a moment before."""
    try:
        return door(path) if path.exists() else None
    except NobodyError:
        return None


def settings_files(machine: Machine, skywire_yaml: str | None) -> dict[str, str]:
    """The boot partition's skywire.yaml, if there is to be one; a watchdog that cannot be armed is left alone."""
    text = skywire_yaml or ""
    if not machine.may_arm and not re.search(r"^watchdog:", text, re.MULTILINE):
        text += ("\n" if text and not text.endswith("\n") else "") + "watchdog: false\n"
    return {"skywire.yaml": text} if text else {}


def end_by_interrupt() -> None:
    """Makes SIGTERM and a closed terminal raise KeyboardInterrupt, so that no emulator outlives the program."""

    def interrupt(number: int, _: FrameType | None) -> NoReturn:
        raise KeyboardInterrupt(signal.Signals(number).name)

    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupt)


def free_port() -> int:
    """A TCP port of loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def answers_ssh(port: int) -> bool:
    """Whether an SSH server greets on the port. QEMU accepts before the board is up, so accepting means nothing."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as link:
            link.settimeout(20)
            return link.recv(4) == b"SSH-"
    except OSError:
        return False
