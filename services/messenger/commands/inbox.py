"""`meshnet-messenger inbox`."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from services.messenger.api_words import Conversations, GetConversations, GetHistory, Messages
from services.messenger.commands.asking import ask, asking, tell
from services.messenger.told import inbox_lines


@click.command()
@asking
def command(socket: Path | None, as_json: bool) -> None:
    """What is new, and what waits to be delivered. It stays new until `read`, `history` or `chat`.

    \b
    meshnet-messenger inbox
    """
    conversations = ask(GetConversations(), Conversations, socket)
    unread = ask(GetHistory(unread=True), Messages, socket).messages
    words = {"conversations": conversations.conversations, "unread": unread}
    tell(msgspec.to_builtins(words), as_json, lambda: inbox_lines(conversations, unread, "history WHO"))
