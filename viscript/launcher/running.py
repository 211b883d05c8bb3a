"""The words of what runs: a running application, where programs are, and whose an id is."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from viscript.launcher.model import Process, Record
    from viscript.launcher.process.door import Backend
    from viscript.launcher.store import Store
    from viscript.signal.model import Address, Peer


@dataclass(slots=True)
class Running:
    """An application that was started and has not ended; `gone` is set when it has, `unwanted` when it was told
    to end.
    """

    record: Record
    process: Process
    stop_timeout_s: float
    unwanted: bool = False
    gone: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(frozen=True, slots=True)
class Place:
    """Where programs are and whom they report to; the socket is for programs that know the extensions."""

    prefix: Path
    signal_address: Address
    signal_socket: Path | None = None


class Ownership:
    """The signal server's question: may whoever is at that end register as this id?"""

    def __init__(self, store: Store, backend: Backend) -> None:
        self._store = store
        self._backend = backend

    def __call__(self, peer: Peer, client_id: int) -> bool:
        return any(record.id == client_id and self._backend.owns(peer, record) for record in self._store.records())
