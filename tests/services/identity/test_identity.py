"""The door says who this board is to whom it may, and a restored identity takes its place, whole or not at all."""

import json
import os
import pwd
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from services import keys, seed_file, words
from services.identity import client
from services.identity.door import answer_one, decide
from services.identity.errors import DoorError
from services.identity.settle import settle
from services.identity.words import Export, Exported, Restore, Restored, Show, Shown
from services.secrecy import Secret
from tests.house.tree import ROOT

OLD, NEW = (keys.new_seed() for _ in range(2))
OLD_ID, NEW_ID = (keys.Identity(seed).node_id for seed in (OLD, NEW))
NEW_WORDS = " ".join(words.to_words(NEW))
ME = pwd.getpwuid(os.getuid()).pw_name


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "identity"
    seed_file.create(folder / "seed", OLD)
    return folder


@pytest.fixture
def mesh(tmp_path: Path) -> Path:
    for name in ("node", "manager", "messenger", "vpn-client"):
        (tmp_path / "mesh" / name).mkdir(parents=True)
        (tmp_path / "mesh" / name / "kept").write_text(f"{name} of the old one")
    return tmp_path / "mesh"


STOPPED = re.compile(r"^ExecStopPost=\+/bin/sh -c '(.*)'$", re.MULTILINE)


def does_restart(code: int, tmp_path: Path) -> bool:
    """What the door's own unit does when the program has ended so, with `systemctl` as a file that is made."""
    unit = (ROOT / "rootfs_overlay/usr/lib/systemd/system/skywire-identity-door@.service").read_text()
    stopped = STOPPED.search(unit)
    assert stopped is not None
    (tmp_path / "bin").mkdir(exist_ok=True)
    (tmp_path / "bin/systemctl").write_text('#!/bin/sh\necho "$@"\n')
    (tmp_path / "bin/systemctl").chmod(0o755)
    around = {"PATH": f"{tmp_path}/bin:/bin", "EXIT_STATUS": str(code), "EXIT_CODE": "exited"}
    words = ["/bin/sh", "-c", stopped[1].replace("$$", "$")]
    return (
        subprocess.run(words, env=around, check=True, capture_output=True, timeout=60).stdout == b"--no-block reboot\n"
    )


@pytest.fixture
def door(folder: Path, tmp_path: Path) -> Iterator[Path]:
    """The door as systemd opens it: a process for each connection, which is its standard input."""
    path = tmp_path / "door.sock"
    command = [sys.executable, "-m", "services.identity", "door", "--folder", str(folder), "--user", ME]
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()

        def serve() -> None:
            while True:
                asker, _ = listener.accept()
                with asker:
                    if asker.recv(1, socket.MSG_PEEK) == b"":
                        return
                    done = subprocess.run(command, stdin=asker.fileno(), cwd=ROOT, check=False, timeout=60)
                    with (tmp_path / "codes").open("a") as codes:
                        codes.write(f"{done.returncode} ")

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield path
        finally:
            with socket.socket(socket.AF_UNIX) as last:
                last.connect(str(path))
            thread.join(60)


def test_show_export_and_restore_over_the_socket(door: Path, folder: Path, mesh: Path) -> None:
    assert client.ask(Show(), Shown, door).node_id == OLD_ID
    assert words.read_words(" ".join(client.ask(Export(), Exported, door).words)) == OLD
    assert client.ask(Restore(NEW_WORDS, look=True), Restored, door) == Restored(NEW_ID, OLD_ID)
    assert not (folder / "next").exists(), "it was only looked at"
    client.ask(Restore(NEW_WORDS), Restored, door)
    assert client.ask(Show(), Shown, door).node_id == OLD_ID, "until the next boot"
    assert settle(folder, mesh) == NEW_ID
    assert client.ask(Show(), Shown, door).node_id == NEW_ID
    with pytest.raises(DoorError, match="is not in the list"):
        client.ask(Restore("x" + NEW_WORDS), Restored, door)


def test_only_the_question_that_lays_one_down_restarts_the_board(door: Path, folder: Path, tmp_path: Path) -> None:
    """What waits since before, such as on a card that took it but gave nothing back, restarts it no more."""
    seed_file.create(folder / "next", NEW)
    client.ask(Show(), Shown, door)
    client.ask(Restore(NEW_WORDS, look=True), Restored, door)
    client.ask(Restore(" ".join(words.to_words(OLD))), Restored, door)
    client.ask(Restore(NEW_WORDS), Restored, door)
    client.ask(Show(), Shown, door)
    with pytest.raises(DoorError, match="is not in the list"):
        client.ask(Restore("x" + NEW_WORDS), Restored, door)
    ends_s = time.monotonic() + 20.0
    while len(codes := (tmp_path / "codes").read_text().split()) < 6 and time.monotonic() < ends_s:
        time.sleep(0.05)  # the last door ends after its answer
    assert [does_restart(int(code), tmp_path) for code in codes] == [False, False, False, True, False, False]


def test_who_hangs_up_has_laid_it_down_all_the_same(folder: Path) -> None:
    mine, theirs = socket.socketpair()
    with mine, theirs:
        mine.sendall(json.dumps({"do": "restore", "words": NEW_WORDS}).encode() + b"\n")
        mine.shutdown(socket.SHUT_RDWR)
        mine.close()
        assert answer_one(theirs, folder, {ME})
    assert (folder / "next").exists()


def test_a_wrong_word_is_named_and_nothing_is_laid_down(folder: Path) -> None:
    wrong = NEW_WORDS.split()
    wrong[6] = "skywire"
    with pytest.raises(Exception, match="word 7, 'skywire', is not in the list"):
        decide(Restore(" ".join(wrong)), folder)
    with pytest.raises(Exception, match="expected 24 words, found 23"):
        decide(Restore(" ".join(NEW_WORDS.split()[:-1])), folder)
    assert [path.name for path in folder.iterdir()] == ["seed"]


def test_words_of_this_board_change_nothing(folder: Path) -> None:
    assert decide(Restore(" ".join(words.to_words(OLD))), folder) == Restored(OLD_ID, OLD_ID)
    assert [path.name for path in folder.iterdir()] == ["seed"]


def test_the_last_words_given_count(folder: Path, mesh: Path) -> None:
    decide(Restore(" ".join(words.to_words(keys.new_seed()))), folder)
    decide(Restore(NEW_WORDS), folder)
    assert settle(folder, mesh) == NEW_ID


@pytest.mark.parametrize("bad", ["next", "seed"])
def test_what_cannot_be_settled_waits_no_more(folder: Path, mesh: Path, bad: str) -> None:
    """A `next` that stays would restart the board at every question; then the right words are taken."""
    decide(Restore(NEW_WORDS), folder)
    whole = (folder / bad).read_bytes()
    (folder / bad).write_bytes(b"")
    with pytest.raises(DoorError, match=f"{bad}' holds no seed of 32 bytes"):
        settle(folder, mesh)
    assert sorted(path.name for path in folder.iterdir()) == ["next.bad", "seed"]
    assert (mesh / "node/kept").exists()
    if bad == "seed":
        (folder / "seed").write_bytes(whole)
    decide(Restore(NEW_WORDS), folder)
    assert settle(folder, mesh) == NEW_ID


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to be two users")
def test_others_get_no_word(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "open.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        path.chmod(0o777)
        tmp_path.chmod(0o755)
        listener.listen()
        ask = (
            f"import os, socket; os.setgid(65534); os.setuid(65534); s = socket.socket(socket.AF_UNIX); "
            f's.connect({json.dumps(path.name)}); s.sendall(b\'{{"do":"export"}}\\n\'); print(s.recv(9999).decode())'
        )
        asker = subprocess.Popen([sys.executable, "-c", ask], cwd=tmp_path, stdout=subprocess.PIPE, text=True)
        link, _ = listener.accept()
        with link:
            answer_one(link, folder, {"viscript", "admin"})
        told, _ = asker.communicate(timeout=60)
    assert "user 65534 may not ask" in told
    assert "words" not in json.loads(told)


def test_what_one_identity_kept_is_not_the_others(folder: Path, mesh: Path) -> None:
    """There and back: each finds what it left, and what is nobody's in particular stays where it is."""
    decide(Restore(NEW_WORDS), folder)
    settle(folder, mesh)
    assert not list((mesh / "node").iterdir())
    assert (mesh / "node").stat().st_mode & 0o777 == 0o700
    assert (mesh / "vpn-client/kept").read_text() == "vpn-client of the old one"
    (mesh / "manager/mine").write_text("the new one's")
    decide(Restore(" ".join(words.to_words(OLD))), folder)
    assert settle(folder, mesh) == OLD_ID
    assert (mesh / "manager/kept").read_text() == "manager of the old one"
    assert not (mesh / "manager/mine").exists()
    assert sorted(path.name for path in folder.iterdir()) == [f"before-{NEW_ID[:12]}", "seed"]


SETTLE = """
import sys
from pathlib import Path
from services.identity.settle import settle
settle(*map(Path, sys.argv[1:]))
"""
STEPS = ("rename", "link", "linkat", "mkdir", "rmdir", "unlink", "fsync")
MESH = ("node", "manager", "messenger")


def test_cut_at_any_step_it_is_done_again(tmp_path: Path) -> None:
    """Killed by the kernel at each system call that changes something, in turn; then as after a boot, once more."""
    cuts = 0
    for step in STEPS:
        for number in range(1, 9):
            place = tmp_path / f"{step}{number}"
            lay_two(place)
            was_cut = cut_at(place, step, number)
            cuts += was_cut
            for name in MESH:  # tmpfiles at the next boot
                (place / "mesh" / name).mkdir(mode=0o700, exist_ok=True)
            if (place / "identity/next").exists():
                assert _id(place / "identity/seed") == OLD_ID, "the old one counts until the new one is in its place"
                settle(place / "identity", place / "mesh")
            check_new(place)
            if not was_cut:
                break
    assert cuts >= 10, "each step was cut"


def test_a_step_that_the_card_does_not_take_changes_nothing(tmp_path: Path) -> None:
    """Each step fails once, in turn: the board is who it was with all that it kept, and may be restored again."""
    failed = 0
    for step in ("rename", "link", "linkat", "mkdir", "rmdir", "fsync"):
        for number in range(1, 9):
            place = tmp_path / f"{step}{number}"
            lay_two(place)
            if not fail_at(place, step, number):
                break
            if _id(place / "identity/seed") == NEW_ID:  # the last flush: all was done before it
                check_new(place)
                continue
            failed += 1
            check_old(place)
            seed_file.create(place / "identity/next", NEW)
            settle(place / "identity", place / "mesh")
            check_new(place)
    assert failed >= 8, "each step failed"


def test_a_card_that_takes_nothing_leaves_the_old_one(tmp_path: Path) -> None:
    """Then it waits on, which restarts nothing."""
    lay_two(tmp_path)
    assert fail_at(tmp_path, "rename", "1+")
    assert (tmp_path / "identity/next").exists()
    assert _id(tmp_path / "identity/seed") == OLD_ID
    settle(tmp_path / "identity", tmp_path / "mesh")
    check_new(tmp_path)


def fail_at(place: Path, step: str, number: int | str) -> bool:
    """Whether it ended with an error, and that is told with its path."""
    fail = ["strace", "-f", "-o", "/dev/null", "-e", f"inject={step}:error=ENOSPC:when={number}"]
    settle_all = [sys.executable, "-m", "services.identity", "settle", "--folder", str(place / "identity")]
    words = [*fail, *settle_all, "--mesh", str(place / "mesh")]
    done = subprocess.run(words, cwd=ROOT, check=False, timeout=60, capture_output=True, text=True)
    assert done.returncode == 0 or "No space left on device" in done.stderr, done.stderr
    return done.returncode != 0


def check_old(place: Path) -> None:
    assert _id(place / "identity/seed") == OLD_ID
    assert not (place / "identity/next").exists()
    for name in MESH:
        assert (place / f"mesh/{name}/kept").read_text() == name
    for name in MESH[:2]:
        assert (place / f"mesh/{name}.before-{NEW_ID[:12]}/kept").read_text() == f"{name}.before-{NEW_ID[:12]}"


def lay_two(place: Path) -> None:
    """The old one in use, the new one waiting, which was here before and kept something."""
    seed_file.create(place / "identity/seed", OLD)
    seed_file.create(place / "identity/next", NEW)
    for name in (*MESH, *(f"{name}.before-{NEW_ID[:12]}" for name in MESH[:2])):
        (place / "mesh" / name).mkdir(parents=True)
        (place / "mesh" / name / "kept").write_text(name)


def cut_at(place: Path, step: str, number: int) -> bool:
    cut = ["strace", "-f", "-o", "/dev/null", "-e", f"inject={step}:signal=KILL:when={number}"]
    words = [*cut, sys.executable, "-c", SETTLE, str(place / "identity"), str(place / "mesh")]
    return subprocess.run(words, cwd=ROOT, check=False, timeout=60).returncode != 0


def check_new(place: Path) -> None:
    assert _id(place / "identity/seed") == NEW_ID
    for name in MESH:
        assert (place / f"mesh/{name}.before-{OLD_ID[:12]}/kept").read_text() == name
    assert (place / "mesh/node/kept").read_text() == f"node.before-{NEW_ID[:12]}"
    assert not list((place / "mesh/messenger").iterdir())


def _id(path: Path) -> str:
    return keys.Identity(Secret(path.read_bytes())).node_id


def test_the_seed_is_of_random_numbers_that_the_kernel_waits_for(tmp_path: Path) -> None:
    """getrandom without GRND_NONBLOCK: before the kernel has its entropy, it does not return."""
    command = [sys.executable, "-m", "services.node", "identity", "new", "--file", str(tmp_path / "i/seed"), "--json"]
    trace = ["strace", "-f", "-s", "64", "-x", "-e", "trace=getrandom,openat", "-o", str(tmp_path / "trace")]
    subprocess.run([*trace, *command], cwd=ROOT, check=True, capture_output=True, timeout=60)
    seed = "".join(f"\\x{byte:02x}" for byte in (tmp_path / "i/seed").read_bytes())
    lines = (tmp_path / "trace").read_text().splitlines()
    drawn = [at for at, line in enumerate(lines) if "getrandom(" in line and seed in line]
    made = [at for at, line in enumerate(lines) if "i/.seed." in line]
    assert drawn, "the seed is what getrandom gave"
    assert lines[drawn[0]].endswith(", 32, 0) = 32")
    assert drawn[0] < made[0]
