"""Names of nodes, `<name>.sky`: this node's own pet names, which win, and those that the manager vouches for. Of a node
of another cluster it is `<name>.<cluster>.sky`: as their managers vouch, and as ours calls them.

Pet names live in a YAML file that a person may edit; it is read again when it has changed.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from pathlib import Path
from typing import Annotated

import msgspec

from services.addresses import session_address
from services.errors import IdentityError, SettingsError
from services.keys import NodeId, read_node_id
from services.manager.asks import Name, Named
from services.manager.errors import WordsError
from services.manager.offer import check_name
from services.node.api_words import Pet, Resolved
from services.node.errors import NameUnknownError
from services.node.opener import Asker
from services.settings_file import read_settings
from viscript.durable import write_whole

ZONE = "sky"
MAX_PETS = 4096
VOUCHED_S, UNKNOWN_S, MOST_REMEMBERED = 60.0, 5.0, 1024


class _File(msgspec.Struct, forbid_unknown_fields=True):
    pets: Annotated[dict[str, str], msgspec.Meta(max_length=MAX_PETS)] = {}


class Names:
    """Raises NameUnknownError, and AwayError where only a manager could know."""

    def __init__(self, path: Path, home: Asker) -> None:
        self._path, self._home = path, home
        self._pets: dict[str, NodeId] = {}
        self._read_at: tuple[int, int] | None = None
        self._vouched: OrderedDict[str, tuple[NodeId | None, float]] = OrderedDict()

    async def resolve(self, name: str) -> Resolved:
        name = read_far_name(name)
        if (pet := self._known_pets().get(name)) is not None:
            return Resolved(name, pet, str(session_address(pet)), "pet")
        node_id = await self._ask(name)
        if node_id is None:
            raise NameUnknownError(f"nobody is known as '{name}' (give a pet name: node pet {name} NODE_ID)")
        return Resolved(name, node_id, str(session_address(node_id)), "vouched")

    async def whom(self, text: str) -> NodeId:
        """A node id, or whom a name means."""
        try:
            return read_node_id(text)
        except IdentityError:
            return (await self.resolve(text)).node_id

    def pets(self) -> tuple[Pet, ...]:
        pets = sorted(self._known_pets().items())
        return tuple(Pet(name, node_id, str(session_address(node_id))) for name, node_id in pets)

    def set_pet(self, name: str, node_id: str) -> None:
        """No node id takes the name away."""
        name, pets = read_name(name), dict(self._known_pets())
        if node_id:
            try:
                pets[name] = read_node_id(node_id)
            except IdentityError as error:
                raise NameUnknownError(str(error)) from None
        elif pets.pop(name, None) is None:
            raise NameUnknownError(f"'{name}' is no pet name here")
        if len(pets) > MAX_PETS:
            raise NameUnknownError(f"there are {MAX_PETS} pet names already: take some away")
        self._write(pets)

    async def _ask(self, name: str) -> NodeId | None:
        found = self._vouched.get(name)
        if found is not None and time.monotonic() < found[1]:
            return found[0]
        node_id = (await self._home.ask(Name(name), Named)).node_id
        if node_id is not None:
            try:
                read_node_id(node_id)
            except IdentityError as error:
                raise NameUnknownError(f"the manager vouches for what is no node: {error}") from None
        self._vouched.pop(name, None)
        self._vouched[name] = node_id, time.monotonic() + (VOUCHED_S if node_id is not None else UNKNOWN_S)
        if len(self._vouched) > MOST_REMEMBERED:
            self._vouched.popitem(last=False)
        return node_id

    def _known_pets(self) -> dict[str, NodeId]:
        """Raises NameUnknownError for a file that cannot be read."""
        try:
            found = self._path.stat()
        except FileNotFoundError:
            self._pets, self._read_at = {}, None
            return self._pets
        except OSError as error:
            raise NameUnknownError(f"cannot read '{self._path}': {error.strerror}") from None
        at = found.st_mtime_ns, found.st_size
        if at != self._read_at:
            try:
                pets = read_settings(self._path, _File).pets
                self._pets = {read_name(name): read_node_id(node_id) for name, node_id in pets.items()}
            except (SettingsError, IdentityError) as error:
                raise NameUnknownError(f"pet names: {error}") from None
            self._read_at = at
        return self._pets

    def _write(self, pets: dict[str, NodeId]) -> None:
        lines = "".join(f'  {name}: "{node_id}"\n' for name, node_id in sorted(pets.items()))
        text = f"pets:\n{lines}" if lines else "pets: {}\n"
        try:
            write_whole(self._path, text.encode())
        except OSError as error:
            raise NameUnknownError(f"cannot write '{self._path}': {error.strerror}") from None


def read_far_name(text: str) -> str:
    """The same, also `<name>.<cluster>`. Raises NameUnknownError."""
    name, dot, cluster = text.strip().rstrip(".").lower().removesuffix(f".{ZONE}").partition(".")
    return f"{read_name(name)}.{read_name(cluster)}" if dot else read_name(name)


def read_name(text: str) -> str:
    """Lower case, without `.sky`. Raises NameUnknownError."""
    name = text.strip().rstrip(".").lower().removesuffix(f".{ZONE}")
    try:
        return check_name(name)
    except WordsError as error:
        raise NameUnknownError(str(error)) from None
