"""Pure: the edges of a graph over numbered hosts. A random one is connected, has no edge twice, and is the same for the
same seed.
"""

from __future__ import annotations

import random
from enum import Enum

Edge = tuple[int, int]


class Kind(Enum):
    LINE = "line"
    RING = "ring"
    STAR = "star"
    RANDOM = "random"


def edges(kind: Kind, count: int, degree: int, seed: int) -> list[Edge]:
    """Degree (the mean one) and seed matter to a random graph alone."""
    if kind is Kind.LINE:
        return [(number, number + 1) for number in range(count - 1)]
    if kind is Kind.RING:
        return edges(Kind.LINE, count, 0, 0) + ([(0, count - 1)] if count > 2 else [])
    if kind is Kind.STAR:
        return [(0, number) for number in range(1, count)]
    return _random(count, degree, random.Random(seed))


def _random(count: int, degree: int, dice: random.Random) -> list[Edge]:
    found = {(dice.randrange(number), number) for number in range(1, count)}
    wanted = max(len(found), min(count * degree // 2, count * (count - 1) // 2))
    while len(found) < wanted:
        left, right = sorted(dice.sample(range(count), 2))
        found.add((left, right))
    return sorted(found)
