"""`image/python` in a small tree of its own: made once, whatever the caller's environment; its errors are pip's."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from image.recipe import HERE


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name in ("image", "tests"):
        (tmp_path / "tree" / name).mkdir(parents=True)
    shutil.copy(HERE / "python", tmp_path / "tree/image/python")
    (tmp_path / "tree/tests/requirements.lock").write_text("# nothing\n")
    return tmp_path / "tree"


def start(tree: Path, *words: str) -> subprocess.Popen[str]:
    cruel = {"PYTHONHOME": "/nonexistent", "PYTHONPATH": "/nonexistent", "PIP_NO_INDEX": "1"}
    return subprocess.Popen(
        [tree / "image/python", *words],
        env=os.environ | cruel | {"XDG_CACHE_HOME": str(tree.parent / "cache")},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_two_at_once_make_it_once(tree: Path) -> None:
    both = [start(tree, "-c", "import sys; print(sys.prefix)") for _ in range(2)]
    said = [process.communicate(timeout=100) for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    (venv,) = (tree.parent / "cache/skywire-board/venv").glob("*/")
    assert [out for out, _ in said] == [f"{venv}\n"] * 2
    assert "".join(err for _, err in said).count("installing the locked Python libraries") == 1


def test_a_library_that_cannot_be_had_is_told(tree: Path) -> None:
    (tree / "tests/requirements.lock").write_text(f"no-such-library==1 --hash=sha256:{'0' * 64}\n")
    with start(tree, "-c", "print('ran')") as process:
        out, err = process.communicate(timeout=100)
    assert (process.returncode, out) == (1, "")
    assert "no-such-library" in err
    assert "error: pip could not install tests/requirements.lock" in err
