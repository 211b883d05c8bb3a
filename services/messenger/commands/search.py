"""`meshnet-messenger search`."""

from __future__ import annotations

from pathlib import Path

import click

from services.messenger.api_words import Messages, Search
from services.messenger.commands.asking import ask, asking, names, tell
from services.messenger.told import history_lines


@click.command()
@click.argument("words", nargs=-1, required=True)
@click.option("--with", "whom", default="", help="Only in the conversation with that one.")
@click.option("-n", "limit", type=click.IntRange(1, 500), default=50, help="How many (50).")
@asking
def command(words: tuple[str, ...], whom: str, limit: int, socket: Path | None, as_json: bool) -> None:
    """Messages that hold all these WORDS; `word*` is the beginning of one.

    \b
    meshnet-messenger search door key
    meshnet-messenger search --with alice 'thurs*'
    """
    messages = ask(Search(" ".join(words), whom, limit), Messages, socket)
    found = tuple(reversed(messages.messages))
    tell(messages, as_json, lambda: history_lines(found, "no message holds all these words", names(socket)))
