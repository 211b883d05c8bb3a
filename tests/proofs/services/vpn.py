"""The rows of the VPN. Who looks is the router outside, by a counter of nftables; the web server beyond, which says who
asked it; and curl on the machine and on its neighbour. The client's own words only say which server it uses.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from subprocess import SubprocessError

from services.manager.errors import ManagerError
from services.node.errors import NodeError
from tests.boot.rows import Row
from tests.laboratory.errors import LabError
from tests.mesh import test_leaks
from tests.mesh.leak_lab import LeakLab, run_leak_lab
from tests.mesh.test_leaks import EVENTS, PROVED, SCENES, Event, look

TROUBLES = (AssertionError, LabError, NodeError, ManagerError, OSError, SubprocessError, ValueError, StopIteration)


def rows() -> Iterator[Row]:
    with tempfile.TemporaryDirectory(prefix="skywire-leaks-") as folder:
        yield from _rows_of(Path(folder))


def _rows_of(folder: Path) -> Iterator[Row]:
    begin = time.monotonic()
    with run_leak_lab(folder / "lab") as lab:
        test_leaks.flows_again(lab)
        took = time.monotonic() - begin
        yield Row("a machine goes out by a VPN server, over a relay", f"all of its load after {took:.1f} s", ok=True)
        for name, event in EVENTS.items():
            yield _leak_row(f"0 packets beside the tunnel: {name}", lab, event)
        for name, scene in {**SCENES, **PROVED}.items():
            yield _scene_row(f"through the tunnel or past it, as told: {name}", lab, scene)
        red = _leak_row("a deliberate leak turns a row red", lab, test_leaks.deliberate_leak)
        yield Row(red.claim, red.seen, ok=not red.ok and "packets leaked, to " in red.seen)
        yield _scene_row(
            "the kill switch outlives its client; only 'off' ends it", lab, test_leaks.stays_on_and_goes_off
        )


def _leak_row(claim: str, lab: LeakLab, event: Event) -> Row:
    try:
        seen, is_tight = look(lab, event)
    except TROUBLES as error:
        return Row(claim, f"{type(error).__name__}: {error}", ok=False)
    return Row(claim, seen, is_tight)


def _scene_row(claim: str, lab: LeakLab, scene: Event) -> Row:
    try:
        return Row(claim, scene(lab), ok=True)
    except TROUBLES as error:
        return Row(claim, f"{type(error).__name__}: {error}", ok=False)
