"""The client's choice among servers of a mesh, and what it says of those that fail: played by `in_a_mesh`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from tests.services.socks.stage import TREE

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="makes a network namespace: run as root")


def play(scene: str) -> Any:
    words = ["unshare", "--net", sys.executable, "-m", "tests.services.socks.in_a_mesh", scene]
    done = subprocess.run(words, cwd=TREE, capture_output=True, text=True, timeout=90, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize(
    ("scene", "replies"),
    [("first", {"2": 20}), ("named", {"0": 20}), ("country", {"0": 20}), ("fastest", {"0": 20})],
)
def test_the_choice_is_kept(scene: str, replies: dict[str, int]) -> None:
    """`far` comes first in the directory, and its reply is 2; `near` is whom the others mean."""
    assert play(scene)["replies"] == replies


def test_at_random_each_connection_may_go_elsewhere() -> None:
    assert set(play("random")["replies"]) == {"0", "2"}


def test_servers_that_fail_by_turns_are_one_line() -> None:
    """Not one for each turn: of a cause there is one a minute."""
    found = play("note")
    assert min(found["rounds"]) >= 3
    assert found["lines"] == 1
