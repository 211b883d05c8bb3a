"""`meshnet-messenger files`."""

from __future__ import annotations

from pathlib import Path

import click

from services.messenger.api_words import Contacts, Files, GetContacts, GetFiles
from services.messenger.commands.asking import ask, asking, tell
from services.messenger.told import files_lines


@click.command()
@click.argument("whom", default="")
@asking
def command(whom: str, socket: Path | None, as_json: bool) -> None:
    """Files from and to WHOM, or all, and how far they are.

    \b
    meshnet-messenger files
    """
    files = ask(GetFiles(whom), Files, socket)
    contacts = ask(GetContacts(), Contacts, socket).contacts if files.files and not as_json else ()
    names: dict[str, str] = {one.node_id: one.name for one in contacts}
    tell(files, as_json, lambda: files_lines(files.files, names))
