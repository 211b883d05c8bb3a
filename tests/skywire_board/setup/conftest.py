"""The scene of set-up's tests; without a user `skywire` on this machine, its files are root's."""

import pwd
from pathlib import Path

import pytest

from tests.skywire_board.setup.scene import TREE, Scene


@pytest.fixture
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scene:
    monkeypatch.setenv("PYTHONPATH", str(TREE))
    if "skywire" not in {user.pw_name for user in pwd.getpwall()}:
        monkeypatch.setattr("skywire_board.setup.plan.MESH_OWNER", "root")
    return Scene(tmp_path)
