"""The one place from which this package starts programs: argument lists in, output to the log, errors with their tail.

A `Runner` carries the log file and the environment of reproducible tools: UTC, C locale, fixed SOURCE_DATE_EPOCH. It
decides nothing.
"""

import os
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol

from image.errors import CommandError, ImageError

TAIL_LINES = 15
LOGGED_LETTERS = 20_000
LAST_WORDS_S = 20


class Log(Protocol):
    """Where a Runner writes: an open text file, or whatever else takes text."""

    def write(self, text: str, /) -> int: ...

    def flush(self) -> None: ...


class Runner:
    """Starts programs and writes what they say to `log`, each line group under the command that said it."""

    def __init__(self, log: Log, epoch: int) -> None:
        self._log = log
        self._env = {
            "PATH": os.environ.get("PATH", "") + ":/usr/local/sbin:/usr/sbin:/sbin",
            "HOME": os.environ.get("HOME", "/root"),
            "LC_ALL": "C.UTF-8",
            "TZ": "UTC",
            "SOURCE_DATE_EPOCH": str(epoch),
            "DEBIAN_FRONTEND": "noninteractive",
        } | {k: v for k, v in os.environ.items() if k.startswith(("PIP_", "SSL_", "http", "HTTP", "no_proxy"))}

    def say(self, text: str) -> None:
        """A line of our own in the log."""
        self._log.write(text.rstrip() + "\n")
        self._log.flush()

    def __call__(
        self,
        *argv: str | Path,
        stdin: bytes | None = None,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        timeout_s: float = 3600,
    ) -> bytes:
        """Standard output of a program that ended with 0; anything else raises CommandError with its last lines."""
        words = [str(word) for word in argv]
        self.say("$ " + " ".join(words))
        try:
            process = subprocess.Popen(
                words,
                stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                cwd=str(cwd) if cwd else None,
                env=self._env | dict(env or {}),
                start_new_session=True,
            )
        except FileNotFoundError as error:
            if error.filename != words[0]:
                raise
            raise ImageError(f"program '{words[0]}' is missing (install it; is it named in image/tools.py?)") from error
        with process, _ended(process):
            try:
                out, err = process.communicate(stdin, timeout_s)
            except subprocess.TimeoutExpired as error:
                raise ImageError(f"'{words[0]}' gave no result within {timeout_s:.0f} s") from error
        said = _readable(out) + _readable(err)
        self.say(said if process.returncode else said[:LOGGED_LETTERS])
        if process.returncode:
            raise CommandError(words, process.returncode, "\n".join(said.splitlines()[-TAIL_LINES:]))
        return out

    def text(self, *argv: str | Path, cwd: Path | None = None) -> str:
        """Standard output as stripped text."""
        return self(*argv, cwd=cwd).decode().strip()


def _readable(said: bytes) -> str:
    return f"({len(said)} bytes)\n" if b"\0" in said else said.decode(errors="replace")


@contextmanager
def _ended(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """Whatever stops us stops the program and all it started, with time to unmount what it has mounted."""
    try:
        yield
    except BaseException:
        for end in (signal.SIGTERM, signal.SIGKILL):
            with suppress(ProcessLookupError):
                os.killpg(process.pid, end)
            with suppress(subprocess.TimeoutExpired):
                process.communicate(timeout=LAST_WORDS_S)
                break
        raise
