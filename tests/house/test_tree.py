"""What may be tracked at all: small files, no trace of the machine it was written on, locks that lock."""

import ipaddress
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.house.tree import ROOT, git, told, tracked, tracked_files, tracked_links

MAX_BYTES = 1_000_000
TOP = {
    ".ci",
    ".gitignore",
    "CHANGELOG.md",
    "LICENSE",
    "README.md",
    "image",
    "pyproject.toml",
    "requirements.lock",
    "rootfs_overlay",
    "services",
    "skywire_board",
    "tests",
    "viscript",
}
MACHINE_FOLDERS = ("work", "farm")
MACHINE_PATH = re.compile(rf"(?:^|[^A-Za-z0-9_.])/(?:{'|'.join(MACHINE_FOLDERS)})/", re.MULTILINE)
SUBJECT = re.compile(r"[a-z._][\w./-]*(?:, [\w./-]+)*: [^A-Z\s].*")
SUBJECT_LETTERS = 72
LOCKS = ("requirements.lock", "tests/requirements.lock")

KNOWN_HOSTS = (
    ("py", "pi.org"),
    ("files.python", "hosted.org"),
    ("registry.npm", "js.org"),
    ("deb.debian", ".org"),
    ("security.debian", ".org"),
    ("proxy.golang", ".org"),
    ("index.crates", ".io"),
)
"""Registries, in two pieces: this file is searched for them too."""


# sizes and top level


def test_no_big_files() -> None:
    sizes = {name: (ROOT / name).stat().st_size for name in tracked_files()}
    wrong = [f"{size} bytes: {name}" for name, size in sizes.items() if size > MAX_BYTES]
    assert not wrong, told(wrong, "built things do not belong in the tree: git rm --cached, and .gitignore")


def test_the_top_level_is_fixed() -> None:
    wrong = {name.split("/")[0] for name in tracked()} - TOP
    assert not wrong, told(sorted(wrong), "put it into one of the folders; the top level does not grow")


def test_there_is_a_readme() -> None:
    assert "README.md" in tracked(), "README.md is missing: write it, and git add it"


# traces of a machine


def registry_hosts() -> set[str]:
    """Host names of registries: the well-known ones and those that this machine is set up with."""
    addresses = ask("apt-get", "indextargets", "--format", "$(REPO_URI)")
    addresses += ask("apt-get", "indextargets", "--format", "$(SITE)")
    addresses += ask(sys.executable, "-m", "pip", "config", "list")
    return {"".join(pieces) for pieces in KNOWN_HOSTS} | host_names(addresses)


def ask(*words: str) -> str:
    """What a program says; nothing when it is not there."""
    if shutil.which(words[0]) is None:
        return ""
    return subprocess.run(words, capture_output=True, text=True, check=False).stdout


def host_names(text: str) -> set[str]:
    """The host names of a text's web addresses. A name without a dot, or a bare IP address, says too little."""
    found = {urlsplit(address).hostname or "" for address in re.findall(r"https?://[^\s'\",]+", text)}
    return {host for host in found if "." in host and not is_ip(host)}


def is_ip(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def traces(text: str, hosts: set[str]) -> list[str]:
    """Names in a text that only hold on one machine."""
    return [match.group().strip() for match in MACHINE_PATH.finditer(text)] + [host for host in hosts if host in text]


def all_texts() -> dict[str, str]:
    """Every tracked file and link, whatever its kind; bytes that are no text do no harm here."""
    return {name: (ROOT / name).read_bytes().decode("latin-1") for name in tracked_files()} | tracked_links()


def test_no_trace_of_a_machine() -> None:
    hosts = registry_hosts()
    wrong = [f"{name}: {', '.join(found)}" for name, text in all_texts().items() if (found := traces(text, hosts))]
    assert not wrong, told(wrong, "take mirrors and paths from the machine's own configuration, at run time")


def test_traces_are_seen() -> None:
    mirror, folder = "mirror.example.net", f"/{MACHINE_FOLDERS[0]}/"
    assert traces(f"http://{mirror}/debian", {mirror}) == [mirror]
    assert traces(f"cd {folder}main", set()) == [folder]
    assert traces(f"upperdir/{folder[1:]}x and a{folder}", set()) == []
    assert host_names(f"a http://u:p@{mirror}:80/x\nb='https://10.0.0.1/' http://cache/") == {mirror}
    assert {"LICENSE", "tests/lock"} <= set(all_texts())


# history


def wrong_subjects(subjects: list[str]) -> list[str]:
    return [subject for subject in subjects if len(subject) > SUBJECT_LETTERS or not SUBJECT.fullmatch(subject)]


def test_commit_subjects() -> None:
    wrong = wrong_subjects(git("log", "--no-merges", "--format=%s").splitlines())
    assert not wrong, told(wrong, f"'folder: verb in lower case', at most {SUBJECT_LETTERS} letters")


def test_commit_messages_name_no_machine() -> None:
    hosts = registry_hosts()
    messages = git("log", "--format=%h %B%x00").split("\0")
    wrong = [message.strip() for message in messages if traces(message, hosts)]
    assert not wrong, told(wrong, "say it without the host name or path: git commit --amend, before it is pushed")


@pytest.mark.parametrize("subject", ["Add a thing", "viscript: Add", "viscript:add", "viscript: ", "a: " + "b" * 70])
def test_a_wrong_subject_is_seen(subject: str) -> None:
    assert wrong_subjects([subject, "tests/skywire_board: hold the doors"]) == [subject]


# locks


def read_lock(text: str) -> dict[str, list[str]]:
    """Name → its lines: `name==version` and the hashes."""
    lines = [line.rstrip(" \\").strip() for line in text.splitlines() if line.strip() and line[0] != "#"]
    found: dict[str, list[str]] = {}
    for line in lines:
        if not line.startswith("--hash="):
            found[plain(line)] = []
        found[next(reversed(found))].append(line)
    return found


def plain(requirement: str) -> str:
    """The name in a requirement, in the one spelling that compares."""
    name = re.match(r"[A-Za-z0-9._-]*", requirement)
    assert name is not None
    return re.sub(r"[-_.]+", "-", name.group()).lower()


def wrong_lock(text: str, wanted: list[str]) -> list[str]:
    rows = read_lock(text)
    wrong = [f"not locked: {name}" for name in wanted if plain(name) not in rows]
    for lines in rows.values():
        if not re.match(r"[\w.-]+==[\w.+!-]+( ;.*)?$", lines[0]):
            wrong.append(f"no exact version: {lines[0]}")
        if not lines[1:] or not all(re.fullmatch(r"--hash=sha256:[0-9a-f]{64}", line) for line in lines[1:]):
            wrong.append(f"no hashes: {lines[0]}")
    return wrong + [f"an address: {line}" for line in text.splitlines() if "://" in line]


@pytest.mark.parametrize("lock", LOCKS)
def test_locks(lock: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wanted = project["project"]["dependencies"]
    if Path(lock).parent.name == "tests":
        wanted = wanted + project["dependency-groups"]["dev"]
    wrong = wrong_lock((ROOT / lock).read_text(), wanted)
    assert not wrong, told(wrong, "run tests/lock after a change of dependencies, and commit what it wrote")


def test_a_wrong_lock_is_seen() -> None:
    good = f"a-b==1.0 ; python_version < '3.13' \\\n    --hash=sha256:{'0' * 64} \\\n    --hash=sha256:{'1' * 64}\n"
    assert wrong_lock(good, ["A_B>=1"]) == []
    assert wrong_lock(good, ["c"]) == ["not locked: c"]
    assert wrong_lock("a==1\n", []) == ["no hashes: a==1"]
    assert "no exact version: a>=1" in wrong_lock("a>=1\n", [])
    assert "an address: --index-url http://x" in wrong_lock(f"{good}--index-url http://x\n", [])
