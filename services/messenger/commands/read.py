"""`meshnet-messenger read`."""

from __future__ import annotations

from pathlib import Path

import click

from services.messenger.api_words import Done, GetHistory, Messages, Read
from services.messenger.commands.asking import ask, asking, tell


@click.command()
@click.argument("whom")
@click.option("--upto", type=click.IntRange(0), help="The number of the last one that was seen (default: the newest).")
@asking
def command(whom: str, upto: int | None, socket: Path | None, as_json: bool) -> None:
    """Say that what WHOM wrote was seen.

    \b
    meshnet-messenger read alice
    """
    if upto is None:
        newest = ask(GetHistory(whom, limit=1), Messages, socket).messages
        upto = newest[-1].number if newest else 0
    tell(ask(Read(whom, upto), Done, socket), as_json, list)
