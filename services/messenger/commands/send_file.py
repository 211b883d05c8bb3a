"""`meshnet-messenger send-file`."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

import click

from services.messenger.api_words import MAX_FILE, SendFile
from services.messenger.commands.asking import asking, tell
from services.messenger.line import Line
from services.messenger.told import SHORT_FILE, size


@click.command()
@click.argument("whom")
@click.argument("path", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--name", default="", help="What the receiver sees (default: the file's name).")
@asking
def command(whom: str, path: Path, name: str, socket: Path | None, as_json: bool) -> None:
    """Offer the file at PATH to WHOM. Done when it is kept here: it goes on when both are there, where it stopped.

    \b
    meshnet-messenger send-file alice holiday.jpg
    """
    with path.open("rb") as file, Line(socket) as line:
        length = os.fstat(file.fileno()).st_size
        if length > MAX_FILE:
            raise click.UsageError(f"'{path}' has {size(length)}: files have {size(MAX_FILE)} at most")
        sent = line.send_file(SendFile(whom, name or path.name, length, once=secrets.token_hex(16)), file)
    message = sent.message
    file_id = message.file.id if message.file is not None else ""
    tell(message, as_json, lambda: [f"offered as {file_id[:SHORT_FILE]} (see: meshnet-messenger files)"])
