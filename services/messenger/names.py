"""Who is meant by what a person types, and what a node is called: contacts of one's own first, then the node's pet
names, then those that a manager vouches for. Groups are `#name`, or `group:` and their id.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Awaitable
from typing import Protocol

from services.errors import IdentityError, shown
from services.keys import NodeId, read_node_id
from services.messenger import views
from services.messenger.book import Book
from services.messenger.change import Change
from services.messenger.errors import AskedWronglyError
from services.messenger.model import GROUP
from services.node.api_words import Resolved
from services.node.errors import NodeError

log = logging.getLogger(__name__)

PETS_S = 30.0
_GROUP_ID = re.compile(r"[0-9a-f]{32}")
_NAME = re.compile(r"[^\s#/:][^\s/]{0,62}")


class Directory(Protocol):
    """Raises AskedWronglyError, NodeError."""

    def resolve(self, name: str) -> Awaitable[Resolved]: ...

    def pets(self) -> Awaitable[dict[NodeId, str]]: ...


class Names:
    def __init__(self, directory: Directory) -> None:
        self._directory = directory
        self._contacts: dict[NodeId, str] = {}
        self._vouched: dict[NodeId, str] = {}
        self._stored: frozenset[NodeId] = frozenset()
        self._groups: dict[str, str] = {}
        self._pets: dict[NodeId, str] = {}
        self._pets_at = -PETS_S

    def of(self, node_id: NodeId) -> str:
        return self._contacts.get(node_id) or self._pets.get(node_id) or self._vouched.get(node_id, "")

    @property
    def pets(self) -> frozenset[NodeId]:
        return frozenset(self._pets)

    async def load(self, book: Book) -> None:
        """From the store."""
        contacts, vouched, self._groups = await book.read(_rows)
        self._stored = frozenset(vouched)
        self._contacts, self._vouched = contacts, {**self._vouched, **vouched}

    def know_groups(self, groups: dict[str, str]) -> None:
        self._groups.update(groups)

    async def refresh(self) -> None:
        """The node's pet names, if they are old; without an answer those from before."""
        if time.monotonic() - self._pets_at < PETS_S:
            return
        self._pets_at = time.monotonic()
        try:
            self._pets = await self._directory.pets()
        except (NodeError, OSError) as error:
            log.debug("pet names are as they were: %s", error)

    # who is meant

    def known(self, whom: str) -> str | None:
        """A conversation; None where somebody must be asked. Raises AskedWronglyError."""
        if whom.startswith((GROUP, "#")):
            return self._group(whom)
        try:
            return read_node_id(whom)
        except IdentityError:
            lists = (self._contacts, self._pets)
            return next((node_id for names in lists for node_id, name in names.items() if name == whom), None)

    async def conversation(self, whom: str) -> str:
        """Raises AskedWronglyError."""
        return self.known(whom) or await self._resolve(whom)

    async def node(self, whom: str) -> NodeId:
        """Raises AskedWronglyError, also for a group."""
        found = await self.conversation(whom)
        if found.startswith(GROUP):
            raise AskedWronglyError(f"{shown(whom)} is a group, and one node is meant here")
        return NodeId(found)

    async def group(self, text: str) -> str:
        """A group's id, of any form of it."""
        return self._group(text if text.startswith(("#", GROUP)) else f"#{text}").removeprefix(GROUP)

    async def _resolve(self, name: str) -> NodeId:
        if not _NAME.fullmatch(name):
            raise AskedWronglyError(f"{shown(name)} is no name: give a node id, a name, or #group")
        found = await self._directory.resolve(name)
        if found.by == "vouched":
            self._vouched[found.node_id] = found.name
        else:
            self._pets[found.node_id] = found.name
        return found.node_id

    def vouched(self, node_id: NodeId) -> str:
        """A name that the store does not know yet."""
        return "" if node_id in self._stored else self._vouched.get(node_id, "")

    def _group(self, text: str) -> str:
        id_ = text.removeprefix(GROUP)
        if text.startswith(GROUP) and _GROUP_ID.fullmatch(id_) and id_ in self._groups:
            return text
        named = text.removeprefix("#") if text.startswith("#") else id_
        found = [group for group, name in self._groups.items() if named in {name, group}]
        if len(found) != 1:
            what = f"{len(found)} groups are called so: give the id" if found else "there is no such group here"
            raise AskedWronglyError(f"{shown(text)}: {what}")
        return GROUP + found[0]


def _rows(change: Change) -> tuple[dict[NodeId, str], dict[NodeId, str], dict[str, str]]:
    rows = change.all("SELECT node_id, name, vouched FROM peers WHERE name != '' OR vouched != ''")
    contacts = {node_id: name for node_id, name, _ in rows if name}
    vouched = {node_id: name for node_id, _, name in rows if name}
    return contacts, vouched, {group.id: group.name for group in views.groups(change)}


def set_contact(change: Change, whom: NodeId, name: str | None, is_blocked: bool | None) -> None:
    if whom == change.own.me:
        raise AskedWronglyError("that is this node itself")
    if name and not _NAME.fullmatch(name):
        raise AskedWronglyError(f"{shown(name)} is no name: at most 63 letters, no space, '#', '/' or ':' first")
    if name and _is_node_id(name):
        raise AskedWronglyError(f"{shown(name)} is a node's id, and no name for another")
    taken = change.one("SELECT node_id FROM peers WHERE name = ? AND node_id != ?", name, whom) if name else None
    if taken:
        raise AskedWronglyError(f"'{name}' is what '{taken[0]}' is called already")
    change.run("INSERT OR IGNORE INTO peers (node_id) VALUES (?)", (whom,))
    if name is not None:
        change.run("UPDATE peers SET name = ? WHERE node_id = ?", (name, whom))
    if is_blocked is not None:
        change.run("UPDATE peers SET is_blocked = ? WHERE node_id = ?", (is_blocked, whom))


def remember_vouched(change: Change, whom: NodeId, name: str) -> None:
    change.run(
        "INSERT INTO peers (node_id, vouched) VALUES (?, ?) "
        "ON CONFLICT (node_id) DO UPDATE SET vouched = excluded.vouched",
        (whom, name),
    )


def _is_node_id(text: str) -> bool:
    try:
        read_node_id(text)
    except IdentityError:
        return False
    return True
