"""The files on the boot partition that carry settings, read and checked as a whole. They are never written here.

`skywire.yaml` is the owner's; `user-data` and `network-config` are Raspberry Pi Imager's, and skywire.yaml goes before
them. Secrets that the board has not taken yet are told by their place in the file.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import yaml

from skywire_board.boards import Board
from skywire_board.config import parse_config
from skywire_board.errors import BoardFileError, SetupError
from skywire_board.setup import imager
from skywire_board.setup.document import MAX_BYTES, Document, Span, mask
from skywire_board.setup.model import BOARD_KEYS, SECRETS, Interface, Settings, is_taken

OWNERS, USER_DATA, NETWORK = "skywire.yaml", "user-data", "network-config"
NAMES = (OWNERS, USER_DATA, NETWORK)
NOTHING = Settings()


@dataclass(frozen=True, slots=True)
class Source:
    """One file: what it says, where its untaken secrets lie, what a person should know."""

    name: str
    data: bytes
    settings: Settings
    spans: tuple[Span, ...] = ()
    notes: tuple[str, ...] = ()
    board: str = ""
    """The part that becomes the board's own file, as YAML."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """All files laid over each other. Imager's keys are kept apart, as whose they are is seen by their file's name."""

    settings: Settings = NOTHING
    imager_keys: tuple[str, ...] = ()
    board: str = ""
    notes: tuple[str, ...] = ()


def read_files(folder: Path) -> dict[str, bytes]:
    """Name → bytes of the files that are there."""
    found = {}
    for name in NAMES:
        try:
            with (folder / name).open("rb") as file:
                found[name] = file.read(MAX_BYTES + 1)
        except FileNotFoundError:
            continue
        except OSError as error:
            raise SetupError(f"{name}:1: cannot be read: {error.strerror}") from error
    return found


def parse(name: str, data: bytes, board: Board) -> Source:
    """One file, checked. SetupError begins with file and line."""
    document = Document(data, name)
    source = _parse_owners(document, board) if name == OWNERS else _parse_imagers(document)
    if source.spans:
        _parse_again(name, data, source, board)
    return source


def _parse_again(name: str, data: bytes, source: Source, board: Board) -> None:
    """What is left when the secrets are blanked must still be understood, at every boot to come."""
    try:
        parse(name, mask(data, list(source.spans)), board)
    except SetupError as error:
        raise SetupError(
            f"{error} (once its secrets are blanked: write them plainly, on the line of their key)"
        ) from None


def _parse_owners(document: Document, board: Board) -> Source:
    settings = document.convert(Settings, SECRETS)
    network = {name: document.convert(Interface, at=("network", name)) for name in settings.network}
    settings = msgspec.structs.replace(settings, network=network)
    spans = []
    for path in SECRETS:
        node = document.node(*path)
        if isinstance(node, yaml.ScalarNode) and node.value and not is_taken(node.value):
            spans.append(document.span(node))
    return Source(document.source, document.data, settings, tuple(spans), (), _board_text(document, board))


def _parse_imagers(document: Document) -> Source:
    reader = imager.read_user_data if document.source == USER_DATA else imager.read_network
    settings, notes = reader(document)
    fresh = [node for node in imager.secret_nodes(document.root) if not is_taken(node.value)]
    return Source(document.source, document.data, settings, tuple(map(document.span, fresh)), tuple(notes))


def _board_text(document: Document, board: Board) -> str:
    """The keys of the board's own file, as YAML; the board's parser checks them at the line where they stand."""
    if not isinstance(document.root, yaml.MappingNode):
        return ""
    text = ""
    for name, value in document.root.value:
        if name.value not in BOARD_KEYS or (isinstance(value, yaml.ScalarNode) and not value.value):
            continue
        alone = yaml.serialize(yaml.MappingNode("tag:yaml.org,2002:map", [(name, value)]), Dumper=yaml.SafeDumper)
        try:
            parse_config(board, "\n" * (document.line(name) - 1) + alone, document.source)
        except BoardFileError as error:
            raise SetupError(str(error)) from None
        text += alone
    return text


def lay_over(sources: Sequence[Source]) -> Wanted:
    """skywire.yaml over Imager's files; of each of its keys all or nothing."""
    values: dict[str, Any] = {}
    keys: list[str] = []
    for source in sorted(sources, key=lambda one: one.name == OWNERS):
        given = msgspec.structs.asdict(source.settings)
        if source.name != OWNERS:
            keys += given.pop("ssh_keys")
        values |= {name: value for name, value in given.items() if value not in (None, [], {})}
    owners = next((source.board for source in sources if source.name == OWNERS), "")
    notes = tuple(note for source in sources for note in source.notes)
    return Wanted(Settings(**values), tuple(keys), owners, notes)
