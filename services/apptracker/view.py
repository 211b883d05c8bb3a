"""The mesh's services as entries: what the node finds in its manager's leased directory, kept a moment, so that many
askers cost one question, whatever they ask for, as long as the manager tells all at once. Where the mesh is away its
services are left out, and the answer says why.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from services.apptracker.brain import cut, is_name, is_wanted
from services.apptracker.model import Entries, Entry, Query
from services.node.api_words import Find, Services, ServiceState
from services.node.client import NodeClient
from services.node.errors import NodeError

KEPT_S = 2.0
ASK_WITHIN_S = 3.0
MOST_KEPT = 64
MOST_FOUND = 48
"""What a manager tells at once."""


@dataclass(frozen=True, slots=True)
class _Seen:
    at_s: float
    entries: tuple[Entry, ...]
    away: str = ""


class MeshView:
    """`node`: its socket, where it is not the usual one."""

    def __init__(self, node: Path | None = None, now_s: Callable[[], float] = time.monotonic) -> None:
        self._node, self._now_s = node, now_s
        self._seen: dict[str, _Seen] = {}
        self._turn = asyncio.Lock()

    async def beside(self, here: Entries, query: Query) -> Entries:
        """The answer to a query, with what is registered here and what is in the mesh."""
        if query.name is not None and query.type not in {None, query.name}:  # of a service they are the same
            return here
        name = query.name if query.name is not None else query.type
        if name is not None and not is_name(name):
            return here
        async with self._turn:
            seen = await self._look("")
            if name is not None and len(seen.entries) >= MOST_FOUND:  # that were not all
                seen = await self._look(name)
        found = [entry for entry in seen.entries if is_wanted(entry, query)]
        more = here.more or len(seen.entries) >= MOST_FOUND
        return cut([*here.entries, *found], more=more, away=seen.away)

    async def _look(self, name: str) -> _Seen:
        """All for an empty name."""
        seen = self._seen.get(name)
        if seen is None or self._now_s() - seen.at_s >= KEPT_S:
            seen = await self._ask(name)
            if len(self._seen) >= MOST_KEPT:
                self._seen.clear()
            self._seen[name] = seen
        return seen

    async def _ask(self, name: str) -> _Seen:
        try:
            async with NodeClient(self._node) as node:
                found = await node.ask(Find(name), Services, ASK_WITHIN_S)
        except (NodeError, OSError) as error:
            return _Seen(self._now_s(), (), str(error))
        return _Seen(self._now_s(), tuple(map(_entry, found.services)))


def _entry(service: ServiceState) -> Entry:
    endpoint = f"[{service.address}]:{service.port}"
    return Entry(service.name, endpoint, "", KEPT_S, service.name, service.node_id, service.labels, "mesh")
