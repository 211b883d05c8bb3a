"""How the commands ask and tell: common options, lines for people, words as JSON."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

import click
import msgspec

from services.app.commands import JSON
from services.messenger.api_words import Conversations, GetConversations
from services.messenger.line import ask_once

T = TypeVar("T", bound=msgspec.Struct)
Command = TypeVar("Command", bound=Callable[..., Any])

_socket = click.option(
    "--socket",
    type=click.Path(path_type=Path),
    envvar="MESSENGER_SOCKET",
    help="The messenger's socket (also MESSENGER_SOCKET).",
)


def asking(command: Command) -> Command:
    """The options that every command here has."""
    return _socket(JSON(command))


def ask(request: msgspec.Struct, kind: type[T], socket: Path | None) -> T:
    return ask_once(request, kind, socket)


def tell(words: object, as_json: bool, render: Callable[[], Iterable[str]]) -> None:
    if as_json:
        click.echo(msgspec.json.encode(words).decode())
        return
    for line in render():
        click.echo(line)


def names(socket: Path | None) -> dict[str, str]:
    """Of conversations, by id."""
    return {one.id: one.name for one in ask(GetConversations(), Conversations, socket).conversations}
