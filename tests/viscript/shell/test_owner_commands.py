"""`identity`, `support`, `reset` as a person types them, with the board's own doors behind them in a throwaway root."""

import json
import os
import pty
import select
import subprocess
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import pytest

from services import keys, seed_file, words
from services.secrecy import Secret
from tests.skywire_board.throwaway import Throwaway, can_have_a_root, wait_until

pytestmark = pytest.mark.skipif(not can_have_a_root(), reason="needs root and a mount namespace")

OLD, NEW = keys.new_seed(), keys.new_seed()
OLD_ID, NEW_ID = (keys.Identity(seed).node_id for seed in (OLD, NEW))
NEW_WORDS = words.to_words(NEW)
INETD = """
import socket, subprocess, sys
listener = socket.socket(socket.AF_UNIX)
listener.bind(sys.argv[1])
listener.listen()
while True:
    asker, _ = listener.accept()
    with asker:
        subprocess.run(sys.argv[2:], stdin=asker.fileno())
"""
"""What systemd does for a socket unit with Accept=yes and StandardInput=socket."""


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Throwaway]:
    with Throwaway(tmp_path_factory.mktemp("owner")) as board:
        seed_file.create(board.root / "data/identity/seed", OLD)
        (board.root / "run/skywire/support").mkdir(parents=True)
        for name, module in {"identity": ("services.identity", "door"), "support": ("skywire_board.support",)}.items():
            path = f"/run/skywire/{name}.sock"
            board.start(f"{name}.log", *board.python("-c", INETD, path, *board.python("-m", *module)))
            wait_until((board.root / path[1:]).exists, f"{name} does not listen")
        yield board


def viscript(board: Throwaway, *line: str, typed: str = "") -> "subprocess.CompletedProcess[bytes]":
    words = board.words(*board.python("-m", "viscript", *line))
    return subprocess.run(words, input=typed.encode(), capture_output=True, check=False, timeout=60)


class Terminal:
    """A person at a terminal of the board."""

    def __init__(self, board: Throwaway, *line: str) -> None:
        self.seen = ""
        self._mine, theirs = pty.openpty()
        words = ["setsid", "--ctty", *board.words(*board.python("-m", "viscript", *line))]
        self._job = subprocess.Popen(words, stdin=theirs, stdout=theirs, stderr=theirs)
        os.close(theirs)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._job.kill()
        self._job.wait()
        os.close(self._mine)

    def wait_for(self, text: str) -> None:
        end = time.monotonic() + 60
        while text not in self.seen:
            assert select.select([self._mine], [], [], max(0, end - time.monotonic()))[0], self.seen
            self.seen += os.read(self._mine, 4096).decode()

    def type(self, text: str) -> None:
        os.write(self._mine, text.encode())

    def end(self) -> int:
        """Its exit code; what it said last is seen as well."""
        try:
            while data := os.read(self._mine, 4096):
                self.seen += data.decode()
        except OSError:
            pass
        return self._job.wait(60)


def test_identity_is_shown_and_its_words_are_not_for_a_pipe(board: Throwaway) -> None:
    assert json.loads(viscript(board, "identity", "--json").stdout)["node_id"] == OLD_ID
    refused = viscript(board, "identity", "export")
    assert (refused.returncode, refused.stdout) == (2, b"")
    forced = json.loads(viscript(board, "identity", "export", "--force", "--json").stdout)
    assert words.read_words(" ".join(forced["words"])) == OLD
    with Terminal(board, "identity", "export") as at:
        assert at.end() == 0
    assert words.read_words(at.seen.partition("Whoever")[0]) == OLD, "as a person would type them off"


def test_words_on_the_line_are_refused(board: Throwaway) -> None:
    refused = viscript(board, "identity", "restore", *NEW_WORDS)
    assert refused.returncode == 2
    assert NEW_WORDS[3] not in refused.stderr.decode()


def test_restore_at_a_terminal_asks_first_and_shows_no_word(board: Throwaway) -> None:
    with Terminal(board, "identity", "restore") as at:
        at.wait_for("are not shown")
        at.type(" ".join(NEW_WORDS[:12]) + "\n" + " ".join(NEW_WORDS[12:]) + "\n")
        at.wait_for("[y/N]")
        assert NEW_ID in at.seen
        at.type("n\n")
        assert at.end() == 0
    assert "Nothing was changed" in at.seen
    assert not [word for word in NEW_WORDS if len(word) > 6 and word in at.seen]
    assert not (board.root / "data/identity/next").exists()


def test_restore_from_a_pipe_wants_a_yes(board: Throwaway) -> None:
    typed = " ".join(NEW_WORDS)
    assert viscript(board, "identity", "restore", typed=typed).returncode == 2
    wrong = viscript(board, "identity", "restore", "--yes", typed=typed.replace(NEW_WORDS[0], "skywire", 1))
    assert (wrong.returncode, b"word 1, 'skywire', is not in the list" in wrong.stderr) == (1, True)
    done = viscript(board, "identity", "restore", "--yes", typed=typed)
    assert done.returncode == 0, done.stderr
    assert Secret((board.root / "data/identity/next").read_bytes()) == NEW
    (board.root / "data/identity/next").unlink()


def test_support_comes_into_a_pipe_and_is_kept_for_a_terminal(board: Throwaway, tmp_path: Path) -> None:
    (tmp_path / "a.tar.gz").write_bytes(viscript(board, "support").stdout)
    with tarfile.open(tmp_path / "a.tar.gz") as tar:
        assert "skywire-support/system/memory.txt" in tar.getnames()
    with Terminal(board, "support") as at:
        assert at.end() == 0
    kept = next((board.root / "run/skywire/support").iterdir())
    assert f"scp admin@BOARD:/run/skywire/support/{kept.name} ." in at.seen
    with tarfile.open(kept) as tar:
        assert "skywire-support/README" in tar.getnames()


def test_reset_asks_for_the_name_first(board: Throwaway) -> None:
    assert viscript(board, "reset").returncode == 2
    with Terminal(board, "reset") as at:
        at.wait_for("to go on:")
        at.type("yes\n")
        assert at.end() == 0
    assert "Nothing was changed" in at.seen
    assert "Gone from skywire.yaml are Wi-Fi password, invitation and identity words" in at.seen
    assert "keys there log in as before" in at.seen
    no_board = viscript(board, "reset", "--yes")
    assert (no_board.returncode, b"cannot ask the board's supervisor" in no_board.stderr) == (1, True)
