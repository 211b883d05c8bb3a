"""The tree as the house's tests see it: what git tracks, nothing else, as plain paths and texts.

Checks take these values as arguments, so that each can also be shown a small tree that is wrong.
"""

import functools
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

ROOT = Path(__file__).parents[2]
PRODUCT = ("image", "services", "skywire_board", "viscript")

Texts = Mapping[str, str]
"""Path below the top, with slashes → text."""


def git(*words: str) -> str:
    done = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, check=False)
    assert done.returncode == 0, f"git {' '.join(words)}: {done.stderr.decode()} (run the tests in a git checkout)"
    return done.stdout.decode("utf-8", "surrogateescape")


@functools.cache
def tracked() -> tuple[str, ...]:
    """Tracked paths that are there; one that somebody has just removed is no longer of interest."""
    names = git("ls-files", "-z").split("\0")
    return tuple(name for name in names if name and ((ROOT / name).exists() or (ROOT / name).is_symlink()))


def tracked_files() -> list[str]:
    return [name for name in tracked() if not (ROOT / name).is_symlink()]


def tracked_links() -> dict[str, str]:
    """Path of each symbolic link → where it points."""
    return {name: str((ROOT / name).readlink()) for name in tracked() if (ROOT / name).is_symlink()}


@functools.cache
def first_lines() -> dict[str, str]:
    """The `#!` line of every tracked script."""
    found = {}
    for name in tracked_files():
        with (ROOT / name).open("rb") as file:
            line = file.readline(200)
        if line.startswith(b"#!"):
            found[name] = line.decode("utf-8", "replace").strip()
    return found


@functools.cache
def python_texts() -> dict[str, str]:
    """Every tracked Python module and script."""
    scripts = {name for name, line in first_lines().items() if "python" in line}
    names = sorted(scripts | {name for name in tracked_files() if name.endswith(".py")})
    return {name: (ROOT / name).read_text() for name in names}


def product_texts() -> dict[str, str]:
    """Python outside the tests."""
    return {name: text for name, text in python_texts().items() if not name.startswith("tests/")}


def find_program(name: str) -> str:
    """Beside this Python first, then on PATH."""
    beside = Path(sys.executable).parent / name
    found = str(beside) if beside.exists() else shutil.which(name)
    assert found, f"'{name}' is missing: install tests/requirements.lock, or use tests/run"
    return found


def told(wrong: Iterable[str], remedy: str) -> str:
    """What a failing test says: each finding on a line, then the way out."""
    return "\n".join(["", *wrong, f"→ {remedy}"])
