"""The person's end of a pseudo-terminal: types to a program, and waits until it shows something."""

from __future__ import annotations

import contextlib
import os
import pty
import select
import signal
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path

from tests.viscript.daemon import Daemon

DEADLINE_S = 30.0


class Terminal:
    """A program on a terminal: type to it, wait until it shows something."""

    def __init__(self, environment: dict[str, str], *argv: str) -> None:
        self.pid, self._fd = pty.fork()
        if self.pid == 0:
            signal.signal(signal.SIGINT, signal.SIG_DFL)  # tests that were started in the background ignore it
            os.execve(sys.executable, [sys.executable, *argv], environment)  # noqa: S606 (the child of pty.fork)

    def type(self, text: str) -> None:
        os.write(self._fd, text.encode())

    def wait_for(self, text: str) -> str:
        """All that was shown since the last wait, which ends where `text` is; what came with it in one piece counts as
        seen. Answers the terminal query prompt_toolkit makes.
        """
        seen, end = "", time.monotonic() + DEADLINE_S
        while text not in seen:
            ready, _, _ = select.select([self._fd], [], [], max(end - time.monotonic(), 0))
            assert ready, f"never showed {text!r}, but: {seen!r}"
            chunk = os.read(self._fd, 4096).decode("utf-8", "replace")
            if "\x1b[6n" in chunk:
                self.type("\x1b[1;1R")
            seen += chunk
        return seen

    def wait_raw(self) -> None:
        """Until the program reads keys and not lines."""
        end = time.monotonic() + DEADLINE_S
        while self.local_modes() & termios.ICANON:
            assert time.monotonic() < end, "it never read keys"
            time.sleep(0.01)

    def wait_end(self) -> int:
        """The exit code, once the program has left its terminal."""
        with contextlib.suppress(OSError):
            while select.select([self._fd], [], [], DEADLINE_S)[0] and os.read(self._fd, 4096):
                pass
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    def close(self) -> None:
        try:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        except (ProcessLookupError, ChildProcessError):
            pass
        os.close(self._fd)

    def local_modes(self) -> int:
        """Echo, line editing, signals: as the program has set them."""
        modes = termios.tcgetattr(self._fd)[3]
        assert isinstance(modes, int)
        return modes


def make_environment(daemon: Daemon, home: Path) -> dict[str, str]:
    """What a program on the terminal is given; PAGER and EDITOR would be ways out of a shell that used them."""
    home.mkdir(exist_ok=True)
    environment = {**daemon.environment, "TERM": "xterm", "HOME": str(home), "PAGER": "sh", "EDITOR": "sh"}
    for name in ("XDG_STATE_HOME", "NO_COLOR", "COLUMNS", "LINES"):
        environment.pop(name, None)
    return environment


@contextlib.contextmanager
def on_terminal(environment: dict[str, str], *argv: str) -> Iterator[Terminal]:
    """Python with these arguments on a terminal of its own."""
    made = Terminal(environment, *argv)
    try:
        yield made
    finally:
        made.close()
