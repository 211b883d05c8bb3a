"""The linters as tests, and the two things no linter reads: YAML files and the links of the card."""

import hashlib
import os
import posixpath
import subprocess
from pathlib import Path, PurePosixPath

import pytest
import yaml

from tests.house.tree import (
    ROOT,
    find_program,
    first_lines,
    python_texts,
    told,
    tracked,
    tracked_files,
    tracked_links,
)

DIALECTS = {
    "#!/bin/sh": "sh",
    "#!/bin/bash": "bash",
    "#!/usr/bin/env bash": "bash",
    "#!/bin/busybox sh": "busybox",
}
"""First line → what shellcheck calls that shell."""

UNITS = "usr/lib/systemd/system"
DEBIAN_UNITS = {"systemd-networkd.service", "wpa_supplicant@.service"}
"""Units of Debian's packages that the card's links may name."""


def run(program: str, *words: str) -> tuple[int, str]:
    done = subprocess.run([find_program(program), *words], cwd=ROOT, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


# ruff


def ruff_check(*files: str) -> tuple[int, str]:
    return run("ruff", "check", "--no-cache", "--output-format=concise", "--config", "pyproject.toml", *files)


def ruff_format(*files: str) -> tuple[int, str]:
    return run("ruff", "format", "--check", "--no-cache", "--config", "pyproject.toml", *files)


def test_ruff_check() -> None:
    code, output = ruff_check(*python_texts())
    assert code == 0, told([output], "mend each, or run: ruff check --fix")


def test_ruff_format() -> None:
    code, output = ruff_format(*python_texts())
    assert code == 0, told([output], "run: ruff format")


def test_ruff_sees_bad_files(tmp_path: Path) -> None:
    bad = tmp_path / "bad.py"
    bad.write_text("import os\nx = ( 1)\n")
    assert "F401" in ruff_check(str(bad))[1]
    assert ruff_format(str(bad))[0] == 1


# mypy


def mypy(*files: str) -> tuple[int, str]:
    """The cache is kept from run to run, outside the tree, one for each checkout."""
    caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    mark = hashlib.sha256(str(ROOT).encode()).hexdigest()[:12]
    return run("mypy", "--cache-dir", str(caches / "skywire-board" / f"mypy-{mark}"), *files)


@pytest.mark.timeout(600)
def test_mypy() -> None:
    code, output = mypy()
    assert code == 0, told([output], "give the types; 'mypy' at the top of the tree says the same")


@pytest.mark.timeout(600)
def test_mypy_is_strict(tmp_path: Path) -> None:
    bad = tmp_path / "bad_types.py"
    bad.write_text("def double(x):\n    return 2 * x\n")
    assert "[no-untyped-def]" in mypy(str(bad))[1]


# shell


def dialect(line: str) -> str | None:
    return next((shell for start, shell in DIALECTS.items() if line == start or line.startswith(f"{start} ")), None)


def shellcheck(shell: str, *files: str) -> tuple[int, str]:
    return run("shellcheck", "--format=gcc", "-s", shell, *files)


@pytest.mark.parametrize("shell", sorted(set(DIALECTS.values())))
def test_shellcheck(shell: str) -> None:
    scripts = [name for name, line in first_lines().items() if dialect(line) == shell]
    code, output = shellcheck(shell, *scripts) if scripts else (0, "")
    assert code == 0, told([output], "mend each; shellcheck's wiki explains every SC number")


def test_every_script_is_checked_by_something() -> None:
    wrong = [
        f"{name}: {line}" for name, line in first_lines().items() if "python" not in line and dialect(line) is None
    ]
    assert not wrong, told(wrong, f"no linter reads these: start them with one of {', '.join(DIALECTS)}")


def test_shellcheck_sees_bad_files(tmp_path: Path) -> None:
    bad = tmp_path / "bad"
    bad.write_text("#!/bin/sh\nrm -r $1\n")
    for shell in DIALECTS.values():
        assert "SC2086" in shellcheck(shell, str(bad))[1]
    assert dialect("#!/bin/sh -eu") == "sh"
    assert dialect("#!/bin/shell") is None


# YAML


def yaml_errors(names: list[str], root: Path) -> list[str]:
    wrong = []
    for name in names:
        try:
            list(yaml.safe_load_all((root / name).read_text()))
        except yaml.YAMLError as error:
            wrong.append(f"{name}: {error}")
    return wrong


def test_yaml_parses() -> None:
    wrong = yaml_errors([name for name in tracked_files() if name.endswith((".yaml", ".yml"))], ROOT)
    assert not wrong, told(wrong, "mend the YAML")


def test_bad_yaml_is_seen(tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text("a: [1\n")
    (tmp_path / "good.yaml").write_text("a: [1]\n")
    assert len(yaml_errors(["bad.yaml", "good.yaml"], tmp_path)) == 1


# the card's links


def wrong_links(links: dict[str, str], card: set[str]) -> list[str]:
    """Links of the card that lead nowhere. All paths are the card's, without the first slash."""
    wrong = []
    for path, target in links.items():
        end = posixpath.normpath(posixpath.join("/", posixpath.dirname(path), target)).lstrip("/")
        folder, name = PurePosixPath(path).parent.name, PurePosixPath(path).name
        if end == "dev/null" or end.startswith("run/"):
            continue
        if end not in card and not (end.startswith(f"{UNITS}/") and PurePosixPath(end).name in DEBIAN_UNITS):
            wrong.append(f"{path} → {target}: not on the card")
        elif folder.endswith((".wants", ".requires")) and PurePosixPath(end).name not in {name, template(name)}:
            wrong.append(f"{path} → {target}: points at a unit of another name")
    return wrong


def template(unit: str) -> str:
    """`a@b.service` is made from `a@.service`."""
    name, dot, kind = unit.rpartition(".")
    return f"{name.partition('@')[0]}@{dot}{kind}"


def test_links_of_the_card() -> None:
    overlay = "rootfs_overlay/"
    card = {name.removeprefix(overlay) for name in tracked() if name.startswith(overlay)}
    links = {path.removeprefix(overlay): to for path, to in tracked_links().items() if path.startswith(overlay)}
    wrong = wrong_links(links, card)
    assert not wrong, told(wrong, "mend the link, or name Debian's unit in DEBIAN_UNITS")


def test_bad_links_are_seen() -> None:
    wants = f"{UNITS}/multi-user.target.wants"
    good = {
        f"{wants}/ours.service": "../ours.service",
        f"{wants}/wpa_supplicant@wlan0.service": f"/{UNITS}/wpa_supplicant@.service",
        "etc/systemd/system/theirs.timer": "/dev/null",
        "etc/resolv.conf": "../run/systemd/resolve/stub-resolv.conf",
    }
    assert wrong_links(good, {f"{UNITS}/ours.service"}) == []
    assert len(wrong_links({f"{wants}/ours.service": "../our.service"}, set())) == 1
    assert len(wrong_links({f"{wants}/a.service": "../ours.service"}, {f"{UNITS}/ours.service"})) == 1
    assert len(wrong_links({"etc/a": "b"}, {"b"})) == 1
