"""Whether the mesh really works, in one line: a question to the manager and back through the session, and links that
answer probes. That the process runs says nothing. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Measured:
    """`ping_s` is the manager's round trip, None without an answer; `trouble` says why."""

    ping_s: float | None
    trouble: str
    links: int
    links_up: int
    sessions: int

    @property
    def works(self) -> bool:
        return self.ping_s is not None and (self.links_up > 0 or self.links == 0)


def tell(measured: Measured) -> str:
    """Such as: works: manager 1.2 ms, 3 of 3 links, 2 sessions."""
    sessions = _count(measured.sessions, "session")
    links = f"{measured.links_up} of {_count(measured.links, 'link')}" if measured.links else "no neighbours"
    if measured.works:
        return f"works: manager {_ms(measured.ping_s or 0.0)} ms, {links}, {sessions}"
    goes_on = f"{links}, {sessions}" if measured.links_up or measured.sessions else ""
    if measured.ping_s is None:
        reason = measured.trouble or "the manager does not answer"
        return f"NOT working: {reason}" + (f" ({goes_on} go on)" if goes_on else "")
    return f"NOT working: no link answers ({measured.links} tried)" + (f"; {sessions}" if measured.sessions else "")


def _count(number: int, of_what: str) -> str:
    return f"{number} {of_what}{'' if number == 1 else 's'}"


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.1f}" if seconds < 0.01 else f"{seconds * 1000:.0f}"
