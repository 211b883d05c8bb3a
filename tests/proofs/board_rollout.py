"""The rows of `update --all`: each a scene of `tests/services/updates/scenes.py`, on one rack in namespaces."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import SubprocessError

from services.errors import IdentityError
from services.manager.errors import ManagerError
from services.node.errors import NodeError
from tests.boot.rows import Row
from tests.laboratory.errors import LabError
from tests.services.updates import scenes
from tests.services.updates.rack import Rack, run_rack

TITLE = "update --all: a bundle in the mesh, board after board"
TROUBLES = (AssertionError, NodeError, ManagerError, LabError, IdentityError, SubprocessError, OSError, ValueError)

SCENES: dict[str, Callable[[Rack], str]] = {
    "boards take the update one after another, and are never down together": scenes.one_after_another,
    "a member fetches the bundle over the mesh, a host beside it does not": scenes.a_stranger_fetches_nothing,
    "an order that no manager signed is refused": scenes.a_forged_order_is_refused,
    "a board that falls back stops it, and the managers say which and why": scenes.a_failure_stops_it,
    "a bundle signed by another key stops it before a slot is touched": (
        scenes.a_wrong_key_stops_it_before_a_slot_is_touched
    ),
    "two at once, the manager killed in the middle: it goes on, its own board last": (
        scenes.in_percentages_though_the_manager_is_killed
    ),
}


def rows() -> Iterator[Row]:
    with tempfile.TemporaryDirectory(prefix="skywire-prove-") as scratch, run_rack(Path(scratch)) as rack:
        for claim, scene in SCENES.items():
            yield _row(claim, scene, rack)


def _row(claim: str, scene: Callable[[Rack], str], rack: Rack) -> Row:
    try:
        return Row(claim, scene(rack), True)
    except TROUBLES as error:
        return Row(claim, f"{type(error).__name__}: {error}", False)
