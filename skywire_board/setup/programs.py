"""The door to programs: brings in an identity by `node identity import`, and starts the supervisor anew.

Words go in by standard input, never as an argument. The seed is made beside the present one, and put in its place, or
compared with it, only when all else was found right. Where set-up fails on a board that has no seed yet, the board
makes one by itself: that one is a stand-in, and gives way to the words of the mended file (services.identity settles
it, and keeps what it had). Every other seed stays.
"""

import logging
import os
import subprocess
from pathlib import Path

from skywire_board.errors import SetupError
from viscript.durable import sync_folder

log = logging.getLogger("skywire_board.setup")

SEED = Path("/data/identity/seed")
NODE = ("/usr/lib/skywire/bin/node",)
USER = "skywire"
DEADLINE_S = 300


class Identity:
    """`seed` is the board's seed file; `program` is what `identity import` is asked of."""

    def __init__(self, seed: Path = SEED, program: tuple[str, ...] = NODE, user: str | None = USER) -> None:
        self._seed, self._program, self._user = seed, program, user
        self._draft, self._next, self._stand_in = (seed.with_name(name) for name in ("restored", "next", "stand-in"))

    def clean_up(self) -> None:
        """Removes the seed of the words where a power cut left it on its way. Raises SetupError."""
        try:
            for path in (self._draft, *self._draft.parent.glob(f".{self._draft.name}.*")):
                path.unlink(missing_ok=True)
        except OSError as error:
            raise SetupError(f"cannot tidy up '{self._seed.parent}' after a power cut: {error.strerror}") from None

    def expect_stand_in(self) -> None:
        """Set-up failed: whatever seed the board makes for want of one is not what its owner asked for."""
        if self._seed.exists():
            return
        how = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            os.close(os.open(self._stand_in, how, 0o600))
            sync_folder(self._stand_in.parent)
        except FileExistsError:
            return
        except OSError as error:
            log.warning("a mended file will not replace the identity: no '%s': %s", self._stand_in, error.strerror)

    def accept(self) -> None:
        """Set-up has succeeded: from here on the seed is the board's, wherever it is from."""
        if not self._stand_in.exists():
            return
        try:
            self._stand_in.unlink()
            sync_folder(self._stand_in.parent)
        except OSError as error:
            log.warning("'%s' stays: %s", self._stand_in, error.strerror)

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
        if self._is_other() and not self._stand_in.exists():
            self._draft.unlink()
            raise SetupError(
                "key 'identity': this board has another identity, which is never overwritten "
                "(factory reset first: hold the button for 10 s, or `reset` in the shell)"
            )

    def take(self) -> None:
        """Puts the prepared seed in its place, where there is none; beside a stand-in, to be settled."""
        if self._is_other():
            self._draft.replace(self._next)
        elif self._seed.exists():
            self._draft.unlink(missing_ok=True)
        else:
            self._draft.replace(self._seed)
        sync_folder(self._seed.parent)

    def _is_other(self) -> bool:
        return self._seed.exists() and self._seed.read_bytes() != self._draft.read_bytes()


def restart_supervisor() -> None:
    """It reads its board file when it starts; systemd is asked and not waited for."""
    words = ["systemctl", "--no-block", "try-restart", "skywire-board.service"]
    subprocess.run(words, check=False, capture_output=True, timeout=60)
