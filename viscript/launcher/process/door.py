"""The one door to running programs. A backend starts, finds, ends and watches; it takes no decisions.

Both backends pass the same tests. An application must survive its backend: killing viscript kills no program.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable

    from viscript.launcher.model import App, Launch, Output, Process, Record, Signal
    from viscript.signal.model import Peer


LAST_LINES = 10


class Found(msgspec.Struct, frozen=True):
    """A running application met after a restart; `app` is its configured name."""

    id: int
    app: str
    process: Process


class Exit(msgspec.Struct, frozen=True):
    """How a program ended: exit code, or minus the signal's number, or None when nobody knows any more."""

    code: int | None = None
    last_lines: tuple[str, ...] = ()


class Backend(Protocol):
    async def start(self, launch: Launch) -> Process:
        """Start the program; raises StartError with the sentence to show.

        After an UnsureStartError, or when cut short, the program may run or come to: see `withdraw`.
        """

    async def withdraw(self, app_id: int) -> None:
        """End what an unsure start may have left; returns once nothing is. Raises StartError when that cannot be
        told now.
        """

    async def find(self, records: Iterable[Record]) -> list[Found]:
        """Which applications still run; records tell what ran before. How others ended, `wait_gone` tells."""

    async def kill(self, app_id: int, process: Process, signal: Signal) -> None:
        """Signal the whole application, silently when it is gone already."""

    async def wait_gone(self, app_id: int, process: Process) -> Exit:
        """Return once the program has ended and nothing of it runs; what it wrote stays readable until `forget`.
        At once for one that ended while nobody looked.
        """

    async def forget(self, app_id: int) -> None:
        """Let go of what an ended program wrote; the id may then be started anew."""

    async def read_output(self, app_id: int, offset: int, limit: int) -> Output:
        """At most `limit` bytes of its standard output and error from `offset` on; a negative offset counts from
        the end. Empty when there is no more yet.
        """

    async def write_input(self, app_id: int, data: bytes) -> None:
        """Give it bytes on standard input, all or none. Raises StartError when it does not take them."""

    def owns(self, peer: Peer, record: Record) -> bool:
        """Whether the process at the other end of that connection is of this application."""

    async def deploy(self, name: str, entry: App) -> None:
        """Add the entry to the configuration on disk, or replace it. Raises UsageError or StartError."""

    def close(self) -> None:
        """Let go of the programs; they go on running."""
