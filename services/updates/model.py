"""The words of updates, pure: a bundle, what a manager orders a board, what a board says of itself, and a roll-out.

A roll-out is one value in a bucket of the managers: whoever leads takes it from there and goes on. Keys that nobody
knows are passed over in all of these: in the middle of a roll-out boards and managers are of different versions.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal

import msgspec

from services.keys import NodeId

PORT = 7996
"""Of the managers' session addresses, where boards fetch bundles."""

SERVICE = "updates"
MAX_BUNDLE = 256 << 20
"""Bytes: half a slot; the object store has room for two and their overhead."""

MAX_TEXT = 400
MAX_CALLED = 63
"""A host's name, as DNS has it (RFC 1035)."""

_SHA256 = re.compile(r"[0-9a-f]{64}")

Text = Annotated[str, msgspec.Meta(max_length=MAX_TEXT)]
Short = Annotated[str, msgspec.Meta(max_length=120)]


class Bundle(msgspec.Struct, frozen=True):
    """`size` in bytes; `version` and `compatible` are what its manifest says (each board checks its signature)."""

    sha256: str
    size: Annotated[int, msgspec.Meta(ge=1, le=MAX_BUNDLE)]
    version: Short
    compatible: Short

    def __post_init__(self) -> None:
        if not _SHA256.fullmatch(self.sha256):
            raise ValueError(f"'{self.sha256[:80]}' is no SHA-256 in hex")


class Install(msgspec.Struct, frozen=True):
    """The body of an order `update`: fetch the bundle from that manager, install it, restart. Given again for the same
    `rollout`, it changes nothing. `older` allows a version below the one that runs.
    """

    rollout: Short
    bundle: Bundle
    manager: NodeId
    port: Annotated[int, msgspec.Meta(ge=1, le=65535)] = PORT
    older: bool = False


class Patience(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """manager.yaml's `updates`, in seconds: from the order to a board's first word; from there to the last byte; from
    its restart until it is back and has passed its trial, which may take 600.
    """

    begin_within_s: float = 120.0
    install_within_s: float = 3600.0
    return_within_s: float = 1200.0

    def __post_init__(self) -> None:
        if not all(
            1 <= limit_s <= 86400 for limit_s in (self.begin_within_s, self.install_within_s, self.return_within_s)
        ):
            raise ValueError("every time of 'updates' is from 1 s to a day")


Doing = Literal["idle", "installing", "installed", "refused"]


class BoardState(msgspec.Struct, frozen=True):
    """What a node says of its board. `called`: what it calls itself, for which nobody vouches. `rolled_back` says why
    it fell back to the slot it runs, if it did. `rollout` and what follows is what it does for one; a restart of the
    board forgets that.
    """

    version: Short = ""
    slot: Short = ""
    trial: bool = False
    rolled_back: Text = ""
    has_door: bool = False
    rollout: Short = ""
    doing: Doing = "idle"
    percent: Annotated[int, msgspec.Meta(ge=0, le=100)] = 0
    text: Text = ""
    called: Annotated[str, msgspec.Meta(max_length=MAX_CALLED)] = ""


Stage = Literal[
    "waiting", "told", "installing", "restarting", "on trial", "done", "there already", "left out", "failed"
]
BUSY: frozenset[Stage] = frozenset({"told", "installing", "restarting", "on trial"})
"""A board in one of these may be down, now or in a moment."""

ENDED: frozenset[Stage] = frozenset({"done", "there already", "left out", "failed"})


class Step(msgspec.Struct, frozen=True):
    """One board of a roll-out, in its place of the order."""

    node_id: NodeId
    stage: Stage = "waiting"
    why: str = ""
    is_manager: bool = False


Course = Literal["running", "paused", "stopped", "aborted", "done"]


class Rollout(msgspec.Struct, frozen=True):
    """`at_once`: how many boards may be busy together. `failures` are tolerated before it stops; none, as a rule.
    `serial` rises with each change, so that what comes late is not taken for news.
    """

    name: str
    bundle: Bundle
    steps: tuple[Step, ...]
    at_once: int = 1
    failures: int = 0
    older: bool = False
    course: Course = "running"
    why: str = ""
    serial: int = 0

    @property
    def is_over(self) -> bool:
        return self.course in {"stopped", "aborted", "done"}

    @property
    def busy(self) -> tuple[Step, ...]:
        return tuple(step for step in self.steps if step.stage in BUSY)


def cut(text: str, most: int = MAX_TEXT) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"
