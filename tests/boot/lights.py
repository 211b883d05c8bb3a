"""What a person sees on a light, as figures: its edges, its period, which pattern that is."""

import itertools
import math
import statistics
from collections.abc import Sequence

Sample = tuple[float, bool]

LOOKS: dict[str, tuple[float, ...]] = {
    "booting": (0.5, 0.5),
    "unclaimed": (1.8, 0.15, 0.15, 0.15),
    "pairing": (0.25, 0.25),
    "joining": (1.0, 1.0),
    "online": (1.8, 0.2),
    "degraded": (0.15, 0.15, 0.15, 1.05),
    "no_time": (0.15, 0.15, 0.15, 0.15, 0.15, 1.25),
    "updating": (0.9, 0.15, 0.15, 0.15, 0.15, 0.15),
    "rolled_back": (0.15, 0.15, 0.15, 0.15, 0.15, 0.15, 0.15, 1.45),
    "identify": (0.15, 0.15),
    "power_or_heat": (0.9, 0.2, 0.2, 0.9),
    "fault": (0.3, 0.3, 0.3, 0.3, 0.3, 1.5),
    "countdown": (0.4, 0.4),
    "resetting": (0.45, 0.15),
    "confirmed": (0.75, 0.25),
    "refused": (0.15, 0.15, 0.15, 0.55),
    "shutting_down": (0.15, 0.55),
}
"""The board's own table (skywire_board/patterns.py), written out as what a person is told to expect: seconds lit, dark,
lit, … of one round. A fault's is that of no data partition, the countdown's its first second.
"""

MOST_ERROR = 0.35
LAST_RUNS = 16


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


def name_pattern(samples: Sequence[Sample]) -> str:
    """The pattern that was played, by the lengths of what was lit and dark; empty where none fits for two rounds."""
    changes = edges(samples)
    runs = [(lit, after - at) for (at, lit), (after, _) in itertools.pairwise(changes)]
    found = {name: error for name, look in LOOKS.items() if (error := _error(runs, look)) < MOST_ERROR}
    return min(found, key=lambda name: found[name], default="")


def _error(runs: Sequence[tuple[bool, float]], look: Sequence[float]) -> float:
    """How far the last two rounds of the runs, or more, are from the look, as the mean logarithm of their ratios."""
    last = runs[-max(2 * len(look), LAST_RUNS) :]
    if len(last) < 2 * len(look):
        return math.inf
    return min(_differ(last, look, shift) for shift in range(len(look)))


def _differ(runs: Sequence[tuple[bool, float]], look: Sequence[float], shift: int) -> float:
    ratios = []
    for number, (lit, length) in enumerate(runs, shift):
        if lit is not (number % 2 == 0):
            return math.inf
        ratios.append(abs(math.log(max(length, 0.01) / look[number % len(look)])))
    return max(statistics.mean(ratios), max(ratios) / 3)


def play(steps: Sequence[tuple[bool, float]], rounds: int, late_s: float = 0.0) -> list[Sample]:
    """Samples every 10 ms of a pattern of (lit, seconds); every second change comes late."""
    samples: list[Sample] = []
    change = 0.0
    for number, (lit, length) in enumerate(itertools.chain.from_iterable([steps] * rounds)):
        change += length
        until = round((change + late_s * (number % 2)) * 100)
        samples += [(at / 100, lit) for at in range(len(samples), until)]
    return samples
