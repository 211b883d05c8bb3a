"""`meshnet-messenger status`."""

from __future__ import annotations

from pathlib import Path

import click

from services.messenger.api_words import GetStatus, Status
from services.messenger.commands.asking import ask, asking, tell
from services.messenger.told import status_lines


@click.command()
@asking
def command(socket: Path | None, as_json: bool) -> None:
    """Whether it works (else exit code 1), and what it has.

    \b
    meshnet-messenger status
    """
    status = ask(GetStatus(), Status, socket)
    tell(status, as_json, lambda: status_lines(status))
    if not status.works:
        raise click.exceptions.Exit(1)
