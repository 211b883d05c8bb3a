"""What a bench returns: a claim, what was aimed at, what was measured, and a peer measured in the same run.

No figure fails anything; `tests/bench` prints them. Medians, so that one slow moment of a shared machine does not
count.
"""

import re
from dataclasses import dataclass

AIM = re.compile(r"(≤|<|≥) (\d+(?:\.\d+)?)\b")


@dataclass(frozen=True, slots=True)
class Figure:
    """`aim` and `peer` are words: "≤ 0.3 ms", "bare asyncio echo: 0.05 ms"; `peer` is empty where there is none."""

    claim: str
    aim: str
    value: float
    unit: str
    peer: str = ""

    @property
    def verdict(self) -> str:
        """`ok` or `MISSED` against the aim; empty where none is set."""
        found = AIM.match(self.aim)
        if found is None:
            return ""
        limit = float(found[2])
        met = self.value >= limit if found[1] == "≥" else self.value <= limit
        return "ok" if met else "MISSED"
