"""`node close`: ends a session."""

from __future__ import annotations

from pathlib import Path

import click

from services.node.api_words import Close, Done
from services.node.commands.told import ask, asking, tell_json


@click.command()
@click.argument("whom")
@asking
def command(whom: str, socket: Path | None, as_json: bool) -> None:
    """End the session with WHOM, an id or a name.

    \b
    node close alice.sky
    """
    done = ask(Close(whom), Done, socket)
    if as_json:
        tell_json(done)
