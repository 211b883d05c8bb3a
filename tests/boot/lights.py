"""What a person sees on a light, as figures: its edges, its period, which pattern that is."""

import itertools
import statistics
from collections.abc import Sequence

Sample = tuple[float, bool]


def edges(samples: Sequence[Sample]) -> list[Sample]:
    """(time, new level) at each change; the first sample is no change."""
    return [after for before, after in itertools.pairwise(samples) if before[1] != after[1]]


def periods(samples: Sequence[Sample]) -> list[float]:
    """Seconds from one lighting to the next."""
    rising = [at for at, lit in edges(samples) if lit]
    return [later - earlier for earlier, later in itertools.pairwise(rising)]


def is_period(found: Sequence[float], wanted_s: float, count: int = 10, tolerance: float = 0.25) -> bool:
    """At least `count` periods, and their median within the tolerance."""
    return len(found) >= count and abs(statistics.median(found) - wanted_s) <= tolerance * wanted_s


def describe(found: Sequence[float]) -> str:
    if not found:
        return "no period seen"
    return f"median period {statistics.median(found):.2f} s of {len(found)} ({min(found):.2f} to {max(found):.2f})"


def codes(samples: Sequence[Sample], pause_s: float = 1.0) -> list[int]:
    """Flashes counted between pauses, as a person counts them; the first and last count may have been cut off."""
    rising = [at for at, lit in edges(samples) if lit]
    counts = [1] if rising else []
    for earlier, later in itertools.pairwise(rising):
        if later - earlier > pause_s:
            counts.append(1)
        else:
            counts[-1] += 1
    return counts[1:-1]
