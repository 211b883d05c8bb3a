"""An apply that half failed is told as it is, and completed when its cause is gone."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable

from tests.services.kernel.hosts import ROOT, Host


def test_a_half_failed_apply_is_told_and_completed(make_host: Callable[[str], Host]) -> None:
    host = make_host("half")
    told = host.run(f"--wdns={ROOT}", sys.executable, "-m", "tests.services.node.half_done")
    found = {line["what"]: line for line in map(json.loads, told.splitlines())}
    assert found["start"]["failed"] == []
    assert found["half"] == {
        "what": "half",
        "done": ["Peer", "AllowedIp"],
        "failed": ["Link", "Address"],
        "dirty": True,
    }
    assert found["still"] == {"what": "still", "done": [], "failed": ["Link", "Address"], "dirty": True}
    assert found["whole"] == {"what": "whole", "done": ["Link", "Address"], "failed": [], "dirty": False}
    assert found["again"] == {"what": "again", "done": [], "failed": [], "dirty": False}
    assert found["mended"]["done"] == ["Link", "Address"]
    assert found["cleared"]["failed"] == []
    assert "sky" not in host.run("ip", "link")
