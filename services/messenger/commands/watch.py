"""`meshnet-messenger watch`: for programs."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from services.messenger.api_words import Watch
from services.messenger.line import Line


@click.command()
@click.argument("whom", default="")
@click.option("--since", type=click.IntRange(0), help="Also what came after the message of that number.")
@click.option("--socket", type=click.Path(path_type=Path), envvar="MESSENGER_SOCKET", help="The messenger's socket.")
def command(whom: str, since: int | None, socket: Path | None) -> None:
    """Tell what happens, a line of JSON each, until it is ended.

    \b
    meshnet-messenger watch
    meshnet-messenger watch alice --since 120
    """
    with Line(socket) as line:
        for event in line.watch(Watch(since, whom)):
            click.echo(msgspec.json.encode(event).decode())
