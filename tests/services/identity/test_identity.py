"""The door says who this board is to whom it may, and a restored identity takes its place, whole or not at all."""

import json
import os
import pwd
import socket
import subprocess
import sys
import threading
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
                    subprocess.run(command, stdin=asker.fileno(), cwd=ROOT, check=False, timeout=60)

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
