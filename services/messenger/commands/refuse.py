"""`meshnet-messenger refuse`."""

from __future__ import annotations

from pathlib import Path

import click

from services.messenger.api_words import Files, RefuseFile
from services.messenger.commands.asking import ask, asking, tell
from services.messenger.told import files_lines


@click.command()
@click.argument("file")
@asking
def command(file: str, socket: Path | None, as_json: bool) -> None:
    """Do not take the FILE, or end it on its way; what is here of it is forgotten.

    \b
    meshnet-messenger refuse 9c1f03ab
    """
    files = ask(RefuseFile(file), Files, socket)
    tell(files, as_json, lambda: files_lines(files.files, {}))
