"""What nodes say without a question: their record, their links, their services. Checked by the store, and put there."""

from __future__ import annotations

from services.keys import NodeId
from services.manager.directory import Directory
from services.manager.errors import WordsError
from services.manager.intake import Intake
from services.manager.record import read_record
from services.manager.registry import Registry
from services.manager.store import Store


class Reports:
    def __init__(self, store: Store, registry: Registry, directory: Directory) -> None:
        self._store, self._registry, self._directory = store, registry, directory

    def handle(self, intake: Intake) -> None:
        """From now on."""
        intake.handle("record", self._take_record)
        intake.handle("links", self._take_links)
        intake.handle("services", self._take_services)

    async def _take_record(self, node_id: NodeId, data: bytes) -> None:
        """Of who was just expelled, nothing more is kept."""
        self._check_member(node_id)
        if read_record(data).node_id != node_id:
            raise WordsError(f"node '{node_id}' sent the record of another")
        await self._store.put_record(data)

    async def _take_links(self, node_id: NodeId, data: bytes) -> None:
        self._check_member(node_id)
        await self._store.put_links(node_id, data)

    async def _take_services(self, node_id: NodeId, data: bytes) -> None:
        self._check_member(node_id)
        await self._directory.take_all(node_id, data)

    def _check_member(self, node_id: NodeId) -> None:
        if node_id in self._registry.expelled:
            raise WordsError(f"node '{node_id}' was expelled")
