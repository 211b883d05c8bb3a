"""`viscript update FILE` as a person types it, with the real update door behind it in a throwaway root: the person's
own process reads the file, wherever it lies. Whether the unit's sandbox lets the door work so is seen on a board
(tests/boot/update_rows.py).
"""

import json
import os
import subprocess
from collections.abc import Iterator

import pytest

from tests.skywire_board.throwaway import Throwaway, can_have_a_root, wait_until

pytestmark = pytest.mark.skipif(not can_have_a_root(), reason="needs root and a mount namespace")

BUNDLE = b"hsqs-signed 0.3.0+b skywire-board-arm64\n"
DOOR = "run/skywire/update/update.sock"


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Throwaway]:
    with Throwaway(tmp_path_factory.mktemp("update")) as board:
        (board.root / DOOR).parent.mkdir(parents=True)
        for name in ("home/admin", "home/other", "data", "tmp"):
            (board.root / name).mkdir(parents=True, exist_ok=True)
        board.start("door.log", *board.python("-m", "tests.fakes.rauc", "/data", f"/{DOOR}"))
        wait_until((board.root / DOOR).exists, "the door does not listen")
        yield board


def update(board: Throwaway, *words: str, data: bytes = b"") -> "subprocess.CompletedProcess[bytes]":
    line = board.words(*board.python("-m", "viscript", "update", *words))
    return subprocess.run(line, input=data, capture_output=True, check=False, timeout=60)


def put(board: Throwaway, path: str, data: bytes) -> None:
    (board.root / path.lstrip("/")).write_bytes(data)


@pytest.mark.parametrize("path", ["/home/admin/board.raucb", "/tmp/board.raucb"])
def test_a_file_is_taken_wherever_it_lies(board: Throwaway, path: str) -> None:
    put(board, path, BUNDLE)
    done = update(board, path, "--no-reboot")
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"version 0.3.0+b is in slot B; it is tried at the next restart (update reboot)" in done.stdout
    assert not (board.root / "data/update/incoming.raucb").exists()


def test_a_relative_path_and_a_pipe_are_files_too(board: Throwaway) -> None:
    put(board, "/home/admin/board.raucb", BUNDLE)
    script = (
        "cd /home/admin && $0 -I -m viscript update board.raucb --no-reboot && mkfifo pipe && (cat board.raucb >pipe &"
    )
    done = board.run("sh", "-c", f"{script} $0 -I -m viscript update pipe --no-reboot)", "/usr/lib/skywire/bin/python3")
    assert (done.returncode, done.stdout.count("is in slot B")) == (0, 2), done.stderr


def test_a_bundle_on_standard_input(board: Throwaway) -> None:
    done = update(board, "-", "--json", data=BUNDLE)
    assert json.loads(done.stdout)["version"] == "0.3.0+b"


@pytest.mark.parametrize(
    ("path", "why"),
    [
        (
            "/home/admin/none.raucb",
            "'/home/admin/none.raucb' cannot be read: No such file or directory (from elsewhere:",
        ),
        ("/home/admin", "'/home/admin' cannot be read: Is a directory (from elsewhere: ssh viscript@board update -"),
        ("/tmp/board.img.xz", "'/tmp/board.img.xz' is no RAUC bundle (expected a file '.raucb'"),
        ("/dev/null", "'/dev/null' is no RAUC bundle"),
        ("ftp://x/y", "'ftp://x/y' is no address (http://…, https://…)"),
    ],
)
def test_what_is_no_bundle_is_named_and_not_sent(board: Throwaway, path: str, why: str) -> None:
    put(board, "/tmp/board.img.xz", b"\xfd7zXZ\x00 and so on")
    done = update(board, path, "--no-reboot")
    assert done.returncode == 1
    assert why in done.stderr.decode()


def test_a_file_of_others_is_refused_in_the_words_of_the_system(board: Throwaway) -> None:
    put(board, "/home/other/board.raucb", BUNDLE)
    (board.root / "home/other").chmod(0o700)
    os.chown(board.root / "home/other", 65534, 65534)
    line = [
        "setpriv",
        "--reuid=65533",
        "--clear-groups",
        "/usr/lib/skywire/bin/python3",
        "-I",
        "-m",
        "viscript",
        "update",
    ]
    done = board.run(*line, "/home/other/board.raucb")
    assert done.returncode == 1
    assert "'/home/other/board.raucb' cannot be read: Permission denied (from elsewhere:" in done.stderr


def test_what_was_rolled_back_ends_when_somebody_knows(board: Throwaway) -> None:
    """The door's note of the boot has `an older story`, until an installation or a person ends it."""
    story = "version 0.3.0+b in slot B was taken back: no mesh"
    note = {"slot": "A", "other": "B", "trial": False, "mesh_before": False, "good": True, "version": "0.2.0+a"}
    put(board, "/data/boot.json", json.dumps({**note, "rolled_back": story}).encode())
    (board.root / "data/update").mkdir(exist_ok=True)
    put(board, "/data/update/last.json", json.dumps({"text": story, "rolled_back": story, "at": 1.0}).encode())
    told = update(board, "status").stdout.decode()
    assert f"rolled back: {story}\nthe light says so until the next update, or: update status --seen\n" in told
    for words in (("status", "--seen"), ("status",)):
        told = update(board, *words).stdout.decode()
        assert f"last: {story} (1970-01-01 00:00 UTC)" in told
        assert "rolled back" not in told
    assert json.loads((board.root / "data/boot.json").read_bytes())["rolled_back"] == ""
    assert update(board, "status", "--sean").returncode == 2
