"""What a pairing is about: who a board is, which of two is the manager, and what is to be done. Pure, frozen words."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from services.keys import NodeId

PORT = 7998
WINDOW_S = 120.0
"""From the hold of the button until the other board must have been found."""

CONFIRM_S = 120.0
"""From the code until both buttons must have been pressed: it is blinked several times meanwhile."""

AGE_APART_S = 1.0
"""Buttons that were held with less between them were held together: nobody can say which was the first."""


class Can(StrEnum):
    """What a board may be in a pairing: by its role in skywire.yaml, else by what it is."""

    MANAGER = "manager"
    NEW = "new"
    EITHER = "either"


class Part(StrEnum):
    MANAGER = "manager"
    NEW = "new"


@dataclass(frozen=True, slots=True)
class Me:
    """`vouch`: this node's signed word that the public key of this pairing is its own."""

    node_id: NodeId
    name: str
    can: Can
    vouch: bytes


@dataclass(frozen=True, slots=True)
class Welcome:
    """What the new board needs: whose network it is, and where its join port is, `host:port`, the best first."""

    manager_id: NodeId
    at: tuple[str, ...]
    network: str


class Stage(StrEnum):
    """The other board is looked for, talked to, its code compared; the new one joins. The last two are ends."""

    LOOKING = "looking"
    TALKING = "talking"
    COMPARING = "comparing"
    JOINING = "joining"
    CONFIRMED = "confirmed"
    REFUSED = "refused"


OVER = frozenset({Stage.CONFIRMED, Stage.REFUSED})


@dataclass(frozen=True, slots=True)
class Shown:
    """Where a pairing is: for lights, consoles and shells."""

    stage: Stage
    text: str
    code: str = ""
    other: str = ""
    part: Part | None = None
    candidates: tuple[str, ...] = ()


def choose_part(mine: tuple[Can, float], theirs: tuple[Can, float]) -> Part | str:
    """This board's part, or a sentence why there is none; from both sides the same answer. The times are since when
    each button was held: of two that may be either, the first is the manager.
    """
    (can, age_s), (other, other_age_s) = mine, theirs
    if can is Can.MANAGER and other is Can.MANAGER:
        return "both boards are managers of networks of their own (join clusters with: peer)"
    if can is Can.NEW and other is Can.NEW:
        return "neither board may be the manager (see role in skywire.yaml)"
    if can is Can.MANAGER or other is Can.NEW:
        return Part.MANAGER
    if can is Can.NEW or other is Can.MANAGER:
        return Part.NEW
    if abs(age_s - other_age_s) < AGE_APART_S:
        return "both buttons were held at the same time: hold the manager's first, then the new board's"
    return Part.MANAGER if age_s > other_age_s else Part.NEW
