"""The one line of viscript's wire that this package knows, against the real daemon: neither may import the other."""

import asyncio
import subprocess
import sys
import time
from pathlib import Path

from skywire_board.checks.viscript import check_viscript

ROOT = Path(__file__).parents[3]


def test_the_real_daemon_is_well_and_then_absent(tmp_path: Path) -> None:
    path = tmp_path / "api.sock"
    options = ["--state-dir", str(tmp_path), "--socket", str(path), "--signal-address", "127.0.0.1:0"]
    daemon = subprocess.Popen(
        [sys.executable, "-m", "viscript", "headless", *options], cwd=ROOT, stderr=subprocess.DEVNULL
    )
    try:
        deadline = time.monotonic() + 60
        while not path.exists() and daemon.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
        assert asyncio.run(check_viscript(path)) is None
    finally:
        daemon.kill()
        daemon.wait()
    trouble = asyncio.run(check_viscript(path))
    assert trouble is not None
    assert trouble.code == "viscript-absent"
