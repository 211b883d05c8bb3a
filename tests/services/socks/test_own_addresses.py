"""The machine that serves is no part of the Internet, by whatever name it is called."""

import json
import os
import subprocess
import sys

import pytest

from tests.services.socks.stage import TREE


@pytest.mark.skipif(os.geteuid() != 0, reason="makes a network namespace: run as root")
def test_no_spelling_leads_to_the_server_itself() -> None:
    words = ["unshare", "--net", sys.executable, "-m", "tests.services.socks.in_public"]
    done = subprocess.run(words, cwd=TREE, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["allowed"] == 0
    assert {name: reply for name, reply in found["replies"].items() if reply not in {2, 4}} == {}
    assert found["udp"] == ["allowed"]
