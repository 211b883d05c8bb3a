"""A card without a key becomes somebody's by its button, is backed up, reset, and is the same node again by its words.

For a board with `login=False`, which has just been switched on. It restarts twice, and is claimed by the board's key at
the end.
"""

import base64
import io
import re
import subprocess
import tarfile
import time
from pathlib import Path

from image.emulator.board import Board, answers_ssh
from tests.boot.rows import Table, wait_for

BOOT_DEADLINE_S = 900
CLAIM_DEADLINE_S = 240
RESET_PRESS_S = 11.0
BOOTED = re.compile(r"SKY slot [AB] at sector")


def owner_rows(board: Board, table: Table) -> None:
    """From unclaimed to claimed, reset, claimed again and restored."""
    wait_for(lambda: answers_ssh(board.port) or None, BOOT_DEADLINE_S, every_s=2)
    stranger = Stranger(board)
    table.check("a card without a key lets nobody in", lambda: _nobody(board))
    table.check("after a press, the first key that logs in as admin is pinned", lambda: _claim(board, stranger))
    table.check("and opens viscript's shell; another key opens nothing", lambda: _claimed(board, stranger))
    node_id, words = board.ssh("identity --json").stdout, board.ssh("identity export --force --json").stdout
    table.check("support: an archive with logs and state, and no secret", lambda: _support(board, words))
    table.check("held for 10 s: everything is forgotten, nobody gets in", lambda: _reset(board))
    table.check("the same card is claimed anew, and is another node", lambda: _other(board, stranger, node_id))
    table.check("its 24 words bring the same node id back", lambda: _restore(board, node_id, words))


class Stranger:
    """Somebody with another key, whose private half can be locked away: then it can only be offered."""

    def __init__(self, board: Board) -> None:
        self._board, self.key = board, board.folder / "stranger"
        self.key.unlink(missing_ok=True)
        board.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "unknown to all", "-C", "stranger", "-f", self.key)
        config = (board.folder / "ssh").read_text().replace(f"{board.folder.absolute()}/key", str(self.key.absolute()))
        (board.folder / "stranger.ssh").write_text(config.replace("LogLevel ERROR", "LogLevel DEBUG1"))

    def only_offers(self) -> bool:
        """Whether the board would have let the key in, had it been proven."""
        return "Server accepts key" in self._try()

    def gets_in(self) -> bool:
        self._board.run("ssh-keygen", "-q", "-p", "-P", "unknown to all", "-N", "", "-f", self.key)
        return "Server accepts key" in self._try()

    def _try(self) -> str:
        words = ["ssh", "-F", str(self._board.folder / "stranger.ssh"), "admin@board", "true"]
        return subprocess.run(words, capture_output=True, text=True, timeout=180, check=False).stderr


def _nobody(board: Board) -> tuple[str, bool]:
    done = board.ssh("true", user="admin", check=False)
    return done.stderr, done.returncode == 255 and "Permission denied" in done.stderr


def _claim(board: Board, stranger: Stranger | None) -> tuple[str, bool]:
    """Presses until the window is open, which only a key's being accepted shows from outside."""
    begin = time.monotonic()
    offered = False
    while time.monotonic() - begin < CLAIM_DEADLINE_S:
        board.press(0.3)
        if stranger is not None:
            if not wait_for(lambda: stranger.only_offers() or None, 20, every_s=1):
                continue
            offered = True
        done = wait_for(lambda: _try(board), 20, every_s=1)
        if done is not None:
            seen = f"a stranger's key, offered without proof: {'accepted for one' if offered else 'none'}; {done}"
            return seen, "is yours now" in done and done.endswith("admin")
    return f"no key was taken within {CLAIM_DEADLINE_S} s", False


def _try(board: Board) -> str | None:
    done = board.ssh("whoami", user="admin", check=False)
    return done.stderr + done.stdout.strip() if done.returncode == 0 else None


def _claimed(board: Board, stranger: Stranger) -> tuple[str, bool]:
    said = board.wait_ssh(BOOT_DEADLINE_S)
    kept = board.ssh("cat /data/owner/authorized_keys.d/claimed", user="admin").stdout
    ours = kept.split()[1] in board.key.with_suffix(".pub").read_text()
    refused = not stranger.gets_in()
    return (
        f"{said}; pinned is ours: {ours}; the stranger is refused: {refused}",
        "Viscript" in said and ours and refused,
    )


def _support(board: Board, words: str) -> tuple[str, bool]:
    archive = board.run(*board.ssh_words("viscript"), "support", timeout_s=400)
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        texts = {row.name: file.read().decode() for row in tar if (file := tar.extractfile(row)) is not None}
    seed = bytes.fromhex(board.ssh("sudo od -An -v -tx1 /data/identity/seed", user="admin").stdout)
    host_key = board.ssh("sudo sed 1d /etc/ssh/host_keys/ssh_host_ed25519_key", user="admin").stdout.split()
    row = re.findall(r'"([a-z]+)"', words.partition("words")[2])[:3]
    secrets = [seed.hex(), seed.hex().upper(), base64.b64encode(seed).decode()[:42], host_key[2], " ".join(row)]
    found = [name for name, text in texts.items() if any(secret in text for secret in secrets)]
    lines = texts["skywire-support/logs/journal.txt"].count("\n")
    seen = f"{len(archive)} bytes, {len(texts)} files, {lines} lines of journal; secrets in: {found or 'none'}"
    return seen, not found and len(texts) > 20 and lines > 50


def _boots(board: Board) -> int:
    return len(BOOTED.findall(board.console()))


def _restarted(board: Board, before: int) -> bool:
    """Whether it has gone through its boot loader since, and greets again."""
    again = wait_for(lambda: _boots(board) > before or None, 300, every_s=1)
    return bool(again and wait_for(lambda: answers_ssh(board.port) or None, BOOT_DEADLINE_S, every_s=2))


def _reset(board: Board) -> tuple[str, bool]:
    before = _boots(board)
    board.press(RESET_PRESS_S)
    restarted = _restarted(board, before)
    Path(board.folder / "known_hosts").unlink(missing_ok=True)  # it has another host key, as it must
    refused = board.ssh("true", user="admin", check=False).returncode == 255
    return f"restarted by itself: {restarted}; the key that was pinned is refused: {refused}", restarted and refused


def _other(board: Board, stranger: Stranger, before: str) -> tuple[str, bool]:
    said, claimed = _claim(board, None)
    board.wait_ssh(BOOT_DEADLINE_S)
    after = board.ssh("identity --json").stdout
    return f"{said}; {before.strip()} -> {after.strip()}", claimed and after != before


def _restore(board: Board, node_id: str, words: str) -> tuple[str, bool]:
    before = _boots(board)
    typed = " ".join(re.findall(r'"([a-z]+)"', words.partition("words")[2]))
    wrong = board.ssh("identity restore --yes", stdin=f"skywire {typed}", check=False)
    said = board.ssh("identity restore --yes", stdin=typed).stdout
    restarted = _restarted(board, before)
    board.wait_ssh(BOOT_DEADLINE_S)
    after = board.ssh("identity --json").stdout
    seen = f"{wrong.stderr.strip()}; {said.strip()}; {after.strip()}"
    return seen, restarted and after == node_id and "'skywire', is not in the list" in wrong.stderr
