"""`node identity` as its users run it: real processes, a real terminal, and what others could see meanwhile."""

import json
import os
import pty
import stat
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from services.keys import Identity
from services.secrecy import Secret
from services.seed_file import read
from services.words import to_words
from tests.house.tree import ROOT

SEED = Secret(bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60"))
NODE = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
WORDS = to_words(SEED)
SHOWN = {
    "node_id": NODE,
    "session_address": "fd53:3f75:b43c:8856:5641:d750:5a87:e5b1",
    "session_key": "2F4H7CKwrYgVN8L0TWYtGhQ8+DDFespDBdhcepD2ti4=",
    "link_address": "fd4c:fc44:ad98:d5e8:c375:750e:194d:e7df",
    "link_key": "ngdn65YnWECs1iaFIr8FXCnL39FgRa/UPVwOxY2Cv3M=",
}
SUBCOMMANDS = ("new", "show", "export", "import")


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "services.node", "identity", *words]


def node(*words: str, typed: str | bytes = "", **environment: str) -> subprocess.CompletedProcess[str]:
    given = typed if isinstance(typed, bytes) else typed.encode()
    env = os.environ | environment
    done = subprocess.run(
        command(*words), cwd=ROOT, input=given, capture_output=True, env=env, timeout=100, check=False
    )
    return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())


def in_terminal(words: Sequence[str], typed: str = "") -> tuple[int, str]:
    """With a terminal for input and output: exit code and what the terminal showed."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(words, cwd=ROOT, stdin=theirs, stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        os.write(ours, typed.encode())
        shown = b""
        while piece := read_some(ours):
            shown += piece
        process.wait(60)
    os.close(ours)
    return process.returncode, shown.decode().replace("\r\n", "\n")


def read_some(terminal: int) -> bytes:
    try:
        return os.read(terminal, 4096)
    except OSError:  # the other end is gone
        return b""


@pytest.fixture
def seed(tmp_path: Path) -> Path:
    path = tmp_path / "identity" / "seed"
    assert node("import", "--file", str(path), typed=" ".join(WORDS)).returncode == 0
    return path


# new


def test_new_says_the_id_and_where_the_seed_lies(tmp_path: Path) -> None:
    path = tmp_path / "a" / "seed"
    done = node("new", "--file", str(path))
    assert done.returncode == 0, done.stderr
    shown = dict(line.split("  ", 1) for line in done.stdout.splitlines())
    assert shown["node id"].strip() == Identity(read(path)).node_id
    assert shown["seed file"].strip() == str(path)
    assert "node identity export" in done.stderr
    assert read(path).reveal().hex() not in done.stdout + done.stderr


def test_new_makes_another_each_time_and_never_twice_in_one_place(tmp_path: Path) -> None:
    one, other = (json.loads(node("new", "--json", "--file", str(tmp_path / name)).stdout) for name in "ab")
    assert one["node_id"] != other["node_id"]
    again = node("new", "--file", str(tmp_path / "a"))
    assert (again.returncode, again.stdout) == (1, "")
    assert again.stderr.startswith(f"node: '{tmp_path / 'a'}' exists, and a seed is never overwritten")
    assert json.loads(node("show", "--json", "--file", str(tmp_path / "a")).stdout) == one


@pytest.mark.parametrize("make", ["new", "import"])
def test_only_its_owner_can_read_the_seed_under_any_umask(tmp_path: Path, make: str) -> None:
    path = tmp_path / "seed"
    done = subprocess.run(
        ["sh", "-c", 'umask 000; exec "$@"', "sh", *command(make, "--file", str(path))],
        cwd=ROOT,
        input=" ".join(WORDS).encode(),
        timeout=100,
        check=True,
    )
    assert done.returncode == 0
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_the_place_is_taken_from_the_environment_or_the_user(tmp_path: Path) -> None:
    assert node("new", NODE_SEED_FILE=str(tmp_path / "chosen")).returncode == 0
    assert (tmp_path / "chosen").is_file()
    if not Path("/data/identity").is_dir():
        assert node("new", XDG_DATA_HOME=str(tmp_path)).returncode == 0
        assert (tmp_path / "skywire" / "identity" / "seed").is_file()


# show


def test_show_tells_what_others_may_know(seed: Path) -> None:
    done = node("show", "--file", str(seed), "--json")
    assert json.loads(done.stdout) == SHOWN | {"seed_file": str(seed)}
    plain = node("show", "--file", str(seed)).stdout
    assert [line.split()[-1] for line in plain.splitlines()] == [*SHOWN.values(), str(seed)]


def test_a_refused_seed_is_one_line_and_exit_1(seed: Path) -> None:
    seed.chmod(0o644)
    for words in (("show",), ("export", "--force")):
        done = node(*words, "--file", str(seed))
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr == f"node: cannot read seed '{seed}': others can read it (run: chmod 600 {seed})\n"


# export and import


def test_words_go_to_a_terminal_numbered(seed: Path) -> None:
    code, shown = in_terminal(command("export", "--file", str(seed)))
    assert code == 0
    assert [word for word in shown.split() if word.isalpha()] == WORDS
    assert [word for word in shown.split() if not word.isalpha()] == [f"{number}." for number in range(1, 25)]


def test_words_go_elsewhere_by_force_alone(seed: Path) -> None:
    done = node("export", "--file", str(seed))
    assert (done.returncode, done.stdout) == (2, "")
    assert "--force" in done.stderr
    assert not set(WORDS) & set(done.stderr.split())
    assert node("export", "--file", str(seed), "--force").stdout.split() == WORDS


def test_words_typed_in_a_terminal_over_several_lines(tmp_path: Path) -> None:
    path = tmp_path / "seed"
    lines = [" ".join(f"{at + 1}. {WORDS[at]}" for at in range(first, first + 4)) for first in range(0, 24, 4)]
    code, shown = in_terminal(command("import", "--file", str(path)), "\n".join(lines) + "\n")
    assert code == 0, shown
    assert NODE in shown
    assert read(path) == SEED


def test_an_empty_line_ends_the_typing(tmp_path: Path) -> None:
    code, shown = in_terminal(command("import", "--file", str(tmp_path / "seed")), f"{WORDS[0]}\n\n")
    assert code == 1
    assert "expected 24 words, found 1" in shown


def test_import_overwrites_nothing(seed: Path) -> None:
    done = node("import", "--file", str(seed), typed="zoo " * 23 + "vote")
    assert done.returncode == 1
    assert "never overwritten" in done.stderr
    assert read(seed) == SEED


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ("", "expected 24 words, found 0"),
        (" ".join(WORDS[:-1]), "expected 24 words, found 23"),
        (" ".join(["xylofone", *WORDS[1:]]), "word 1, 'xylofone', is not in the list"),
        (" ".join([WORDS[1], WORDS[0], *WORDS[2:]]), "do not belong together"),
        (SEED.reveal().hex(), "word 1 is not a word (64 characters)"),
        (b"\xff\xfe\x00" * 20, "24 words"),
        ("word " * 100_000, "more than 4096 letters"),
    ],
)
def test_other_input_is_refused_and_leaves_nothing(tmp_path: Path, typed: str | bytes, told: str) -> None:
    done = node("import", "--file", str(tmp_path / "seed"), typed=typed, PYTHONUTF8="0", LC_ALL="C.UTF-8")
    assert (done.returncode, done.stdout) == (1, "")
    assert told in done.stderr or "is not a word" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert SEED.reveal().hex() not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_words_on_the_command_line_are_refused_and_not_repeated(tmp_path: Path) -> None:
    done = node("import", "--file", str(tmp_path / "seed"), *WORDS)
    assert done.returncode == 2
    assert "where others can see them" in done.stderr
    assert not set(WORDS) & set(done.stderr.replace(",", " ").split()) - {"take", "line", "out", "see"}
    assert list(tmp_path.iterdir()) == []


def test_process_list_and_core_files_show_nothing_of_the_words(tmp_path: Path) -> None:
    path = tmp_path / "seed"
    ours, theirs = pty.openpty()
    words = ["sh", "-c", 'ulimit -Sc "$(ulimit -Hc)"; exec "$@"', "sh", *command("import", "--file", str(path))]
    pipe = subprocess.PIPE
    with subprocess.Popen(words, cwd=ROOT, stdin=theirs, stdout=pipe, stderr=pipe) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert b"24 words" in process.stderr.readline()
        os.write(ours, (" ".join(WORDS[:23]) + "\n").encode())
        seen = [Path(f"/proc/{process.pid}/{name}").read_bytes() for name in ("cmdline", "environ", "comm")]
        limits = Path(f"/proc/{process.pid}/limits").read_text().splitlines()
        os.write(ours, (WORDS[23] + "\n").encode())
        assert NODE in process.stdout.read().decode()
    os.close(ours)
    os.close(theirs)
    told = b"\0".join(seen).decode()
    assert str(path) in told
    assert [line.split()[4:6] for line in limits if line.startswith("Max core file size")] == [["0", "0"]]
    assert SEED.reveal().hex() not in told
    assert " ".join(WORDS[:3]) not in told
    assert "\0".join(WORDS[:3]) not in told


# asked wrongly


@pytest.mark.parametrize("words", [("nw",), ("new", "--no"), ("show", "--file"), ("export", "one")])
def test_what_is_asked_wrongly_is_exit_2(words: Sequence[str]) -> None:
    done = node(*words)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines()[-1].startswith("Error: ")


def test_help_tells_every_command_with_an_example() -> None:
    whole = node("--help").stdout
    for name in SUBCOMMANDS:
        assert f"node identity {name}" in whole
        assert f"\n  node identity {name}" in node(name, "--help").stdout


def test_help_loads_no_cryptography() -> None:
    listing = "import sys\nfrom services.node.__main__ import main\nmain(sys.argv[1:], standalone_mode=False)\n"
    listing += "print(*sys.modules)"
    words = [sys.executable, "-c", listing, "--help"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)
    assert not {"nacl", "mnemonic", "asyncio", "json", "ctypes"} & set(done.stdout.splitlines()[-1].split())
