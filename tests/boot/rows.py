"""A row of proof: a claim, what an outside observer saw, and whether it holds; and the table of them.

`aim` marks a row whose figure is an aim: missing it is printed as MISSED and fails nothing.
"""

import re
import textwrap
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from image.errors import ImageError

WIDTH = 80
CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|[\x00-\x08\x0b-\x1f\x7f]")  # what a terminal would act on
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Row:
    claim: str
    seen: str
    ok: bool
    aim: bool = False

    @property
    def verdict(self) -> str:
        return "ok" if self.ok else "MISSED" if self.aim else "FAIL"


class Table:
    """Rows in the order in which they were seen, printed at once so that a person can follow."""

    def __init__(self, title: str, tell: Callable[[str], None] = print) -> None:
        self.rows: list[Row] = []
        self._tell = tell
        tell(f"\n{title}\n{'-' * WIDTH}")

    def add(self, claim: str, seen: str, ok: bool, *, aim: bool = False) -> None:
        row = Row(claim, " ".join(CONTROL.sub("", seen).split()), ok, aim)
        self.rows.append(row)
        self._tell(f"{row.verdict:<7}{row.claim}")
        for line in textwrap.wrap(row.seen or "nothing", WIDTH - 9):
            self._tell(f"         {line}")

    def check(self, claim: str, look: Callable[[], tuple[str, bool]]) -> None:
        """A row whose look may itself fail: then what went wrong is what was seen."""
        try:
            seen, ok = look()
        except (ImageError, AssertionError, OSError, ValueError, IndexError) as error:
            seen, ok = f"{type(error).__name__}: {error}", False
        self.add(claim, seen, ok)

    @property
    def failed(self) -> list[Row]:
        return [row for row in self.rows if not row.ok and not row.aim]


def wait_for(look: Callable[[], T | None], deadline_s: float, every_s: float = 0.2) -> T | None:
    """What `look` found, or None when the deadline has passed."""
    end = time.monotonic() + deadline_s
    while time.monotonic() < end:
        found = look()
        if found:
            return found
        time.sleep(every_s)
    return None
