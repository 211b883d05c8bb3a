"""`meshnet-messenger accept`."""

from __future__ import annotations

from pathlib import Path

import click

from services.messenger.api_words import AcceptFile, Files
from services.messenger.commands.asking import ask, asking, tell
from services.messenger.told import files_lines


@click.command()
@click.argument("file")
@asking
def command(file: str, socket: Path | None, as_json: bool) -> None:
    """Take the FILE that was offered (see `files`); then `save` it.

    \b
    meshnet-messenger accept 9c1f03ab
    """
    files = ask(AcceptFile(file), Files, socket)
    tell(files, as_json, lambda: files_lines(files.files, {}))
