"""What `image/boot` shows a person: the lights as the pins show them, where SSH listens, and a door for `--press`.

The running session listens on a UNIX socket that only its user may open; `--press` from another terminal speaks to it.
"""

import contextlib
import json
import os
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from image.emulator.board import Board, answers_ssh
from image.errors import EmulatorError, ImageError

LOOK_EVERY_S = 0.1
MAX_PRESS_S = 60.0
GONE_DEADLINE_S = 30.0
Tell = Callable[[str], None]


def control_socket() -> Path:
    """Where the running session of this user listens."""
    base = os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir()
    return Path(base) / f"skywire-emulator-{os.getuid()}" / "control.sock"


def press_running(seconds: float, number: int = 1) -> None:
    """Asks the running session to press a board's button (they count from 1); returns when it has let go."""
    if not 0 < seconds <= MAX_PRESS_S:
        raise ImageError(f"a press of '{seconds}' s is not possible (say 0 to {MAX_PRESS_S:.0f})")
    with socket.socket(socket.AF_UNIX) as link:
        link.settimeout(seconds + 30)
        try:
            link.connect(str(control_socket()))
            link.sendall(json.dumps({"press": seconds, "board": number}).encode() + b"\n")
            answer = json.loads(link.makefile().readline() or "{}")
        except OSError as error:
            raise EmulatorError("no emulator runs (start one with: image/boot)") from error
    if not answer.get("pressed"):
        raise EmulatorError(f"the emulator did not press: {answer.get('error', 'it ended')}")


class Control:
    """Serves presses while the session runs, one caller after the other."""

    def __init__(self, boards: Sequence[Board]) -> None:
        self._boards = boards
        self._path = control_socket()
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self._path.parent.stat().st_uid != os.getuid():
            raise ImageError(f"'{self._path.parent}' belongs to another user (remove it)")
        if _somebody_listens(self._path):
            raise ImageError(
                "an emulator is running already (end it, or press its button with: image/boot --press 0.2)"
            )
        self._path.unlink(missing_ok=True)
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.bind(str(self._path))
        self._socket.listen(4)
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                link, _ = self._socket.accept()
            except OSError:
                return
            with link, contextlib.suppress(OSError):  # a caller that left is not missed
                link.settimeout(5)
                link.sendall(json.dumps(self._answer(link)).encode() + b"\n")

    def _answer(self, link: socket.socket) -> dict[str, object]:
        try:
            asked = json.loads(link.makefile().readline(256))
            seconds, number = float(asked["press"]), int(asked.get("board", 1))
            if not 0 < seconds <= MAX_PRESS_S:
                return {"error": f"cannot press for '{seconds}' s"}
            if not 1 <= number <= len(self._boards):
                return {"error": f"there is no board '{number}' (they are 1 to {len(self._boards)})"}
            self._boards[number - 1].press(seconds)
        except (OSError, ValueError, KeyError, TypeError, EmulatorError) as error:
            return {"error": str(error)}
        return {"pressed": seconds}

    def close(self) -> None:
        self._socket.close()
        self._path.unlink(missing_ok=True)


def _somebody_listens(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            return False
    return True


def show(boards: Sequence[Board], tell: Tell, *, live: bool) -> None:
    """The status line until the boards have switched themselves off or the person presses Ctrl+C."""
    for number, board in enumerate(boards, 1):
        title = board.machine.name + (f" {number}" if len(boards) > 1 else "")
        tell(f"  {title}: power on, SSH on port {board.port} of this machine\n")
        tell(f"  shell:  {' '.join(board.ssh_words('viscript'))}\n")
    which = " --board 2" if len(boards) > 1 else ""
    tell(f"  button: image/boot --press 0.2{which}   end: Ctrl+C\n")
    watched = [_Watched(board) for board in boards]
    last = ""
    while any(one.board.running for one in watched):
        seen = [one.look() for one in watched]
        lights = "   ".join(f"{where}{state}" for where, state in seen)
        if live:
            tell(f"\r  {lights}\033[K")
        elif (states := " | ".join(state for _, state in seen)) != last:
            last = states
            tell(f"  {lights}\n")
        time.sleep(LOOK_EVERY_S)
    tell(f"\n  {'the board has switched itself off' if len(boards) == 1 else 'the boards have switched off'}\n")


class _Watched:
    """A board of the status line: its lights, and since when it answers."""

    def __init__(self, board: Board) -> None:
        self.board, self._greeting = board, _Greeting(board.port)

    def look(self) -> tuple[str, str]:
        """The lights and the time; the state, which changes seldom."""
        board, since = self.board, self._greeting.since
        try:
            if not board.running:
                return "", "off"
            status, activity = board.pins.lights()
        except EmulatorError:
            board.wait_off(GONE_DEADLINE_S)
            return "", "off"
        state = "booting" if since is None else f"answers SSH since {since - board.started:.0f} s"
        return f"status {_dot(status)}  activity {_dot(activity)}  {board.seconds:5.0f} s  ", state


def shell(board: Board, tell: Tell, deadline_s: float) -> int:
    """Waits until the board lets us in, then opens its viscript shell here; returns the shell's exit code."""
    tell(f"  waiting for {board.machine.name} to answer ...\n")
    board.wait_ssh(deadline_s)
    tell(f"  it answered {board.seconds:.0f} s after power-on\n")
    return board.open_shell()


class _Greeting:
    """Looks in the background whether SSH greets, and remembers since when (monotonic seconds)."""

    def __init__(self, port: int) -> None:
        self.since: float | None = None
        self._port = port
        threading.Thread(target=self._look, daemon=True).start()

    def _look(self) -> None:
        while not answers_ssh(self._port):
            time.sleep(1)
        self.since = time.monotonic()


def _dot(lit: bool) -> str:
    return "●" if lit else "○"
