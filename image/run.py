"""The one place from which this package starts programs: argument lists in, output to the log, errors with their tail.

A `Runner` carries the log file and the environment of reproducible tools: UTC, C locale, fixed SOURCE_DATE_EPOCH. It
decides nothing.
"""

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

from image.errors import CommandError, ImageError

TAIL_LINES = 15


class Runner:
    """Starts programs and writes what they say to `log`, each line group under the command that said it."""

    def __init__(self, log: IO[str], epoch: int) -> None:
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
            done = subprocess.run(
                words, input=stdin, capture_output=True, cwd=cwd, env=self._env | dict(env or {}),
                timeout=timeout_s, check=False,
            )  # fmt: skip
        except FileNotFoundError as error:
            raise ImageError(f"program '{words[0]}' is missing (run: image/build --install-tools)") from error
        except subprocess.TimeoutExpired as error:
            raise ImageError(f"'{words[0]}' gave no result within {timeout_s:.0f} s") from error
        said = done.stdout.decode(errors="replace") + done.stderr.decode(errors="replace")
        self.say(said[:20000])
        if done.returncode:
            raise CommandError(words, done.returncode, "\n".join(said.splitlines()[-TAIL_LINES:]))
        return done.stdout

    def text(self, *argv: str | Path, cwd: Path | None = None) -> str:
        """Standard output as stripped text."""
        return self(*argv, cwd=cwd).decode().strip()


def digest_lines(parts: Sequence[str]) -> str:
    """A short content key: SHA-256 over the parts, one per line, first 16 hex digits."""
    import hashlib

    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]
