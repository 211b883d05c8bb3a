"""What a bench returns: a claim, what was aimed at, what was measured, and a peer measured in the same run.

No figure fails anything; `tests/bench` prints them. Medians, so that one slow moment of a shared machine does not
count.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Figure:
    """`aim` and `peer` are words: "≤ 0.3 ms", "bare asyncio echo: 0.05 ms"; `peer` is empty where there is none."""

    claim: str
    aim: str
    value: float
    unit: str
    peer: str = ""
