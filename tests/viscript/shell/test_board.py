"""`board` in the shell: what it makes of the supervisor's answer, and that elsewhere it says what it is for."""

from pathlib import Path

from skywire_board.api_words import Status, TroubleRow
from tests.viscript.daemon import run_daemon
from viscript.shell.commands import board

ROLLED_BACK = TroubleRow("rolled-back", "update rolled back", "warn", "the mesh did not work\x1b[2J")
STATUS = Status(
    "rolled_back", "an update failed", 0, 75.0, True, "A", False, "why", (ROLLED_BACK,), "QEMU virt", "online"
)


def test_it_says_what_the_light_says_and_why() -> None:
    said = board.show(STATUS)
    assert "Light     rolled back, for 1 min 15 s: an update failed" in said.lines
    assert "Owner     its keys are on the board" in said.lines
    assert "Warn      update rolled back: the mesh did not work\N{REPLACEMENT CHARACTER}[2J" in said.lines
    assert said.data is STATUS


def test_it_is_for_boards(tmp_path: Path) -> None:
    with run_daemon(tmp_path) as daemon:
        refused = daemon.shell("board")
        wrong = daemon.shell("board", "dance")
    assert refused.returncode == 1
    assert "Only a board has lights and a button." in refused.stderr
    assert wrong.returncode == 2
    assert "'dance' makes no sense here" in wrong.stderr
