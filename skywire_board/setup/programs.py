"""The door to programs: brings in an identity by `node identity import`, and starts the supervisor anew.

Words go in by standard input, never as an argument. The seed is made beside the present one, and put in its place, or
compared with it, only when all else was found right.
"""

import os
import subprocess
from pathlib import Path

from skywire_board.errors import SetupError

SEED = Path("/data/identity/seed")
NODE = ("/usr/lib/skywire/bin/node",)
USER = "skywire"
DEADLINE_S = 300


class Identity:
    """`seed` is the board's seed file; `program` is what `identity import` is asked of."""

    def __init__(self, seed: Path = SEED, program: tuple[str, ...] = NODE, user: str | None = USER) -> None:
        self._seed, self._program, self._user = seed, program, user
        self._draft = seed.with_name("restored")

    def prepare(self, words: str) -> None:
        """Makes the seed beside the present one. SetupError when the words are wrong or it is another identity."""
        self._draft.unlink(missing_ok=True)
        command = [*self._program, "identity", "import", "--file", str(self._draft)]
        try:
            done = subprocess.run(
                command, input=words, capture_output=True, text=True, timeout=DEADLINE_S, check=False,
                user=self._user, group=self._user, extra_groups=[] if self._user else None, cwd="/",
            )  # fmt: skip
        except (OSError, subprocess.TimeoutExpired) as error:
            raise SetupError(f"key 'identity': the words could not be read: {error}") from error
        if done.returncode:
            raise SetupError(f"key 'identity': {done.stderr.strip().removeprefix('node: ')}")
        if self._seed.exists() and self._seed.read_bytes() != self._draft.read_bytes():
            self._draft.unlink()
            raise SetupError(
                "key 'identity': this board has another identity, which is never overwritten "
                "(factory reset first: hold the button for 10 s, or `reset` in the shell)"
            )

    def take(self) -> None:
        """Puts the prepared seed in its place, where there is none."""
        if self._seed.exists():
            self._draft.unlink(missing_ok=True)
            return
        self._draft.replace(self._seed)
        fd = os.open(self._seed.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


def restart_supervisor() -> None:
    """It reads its board file when it starts; systemd is asked and not waited for."""
    words = ["systemctl", "--no-block", "try-restart", "skywire-board.service"]
    subprocess.run(words, check=False, capture_output=True, timeout=60)
