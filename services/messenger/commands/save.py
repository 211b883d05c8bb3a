"""`meshnet-messenger save`."""

from __future__ import annotations

from pathlib import Path

import click

from services.messenger.commands.asking import asking, tell
from services.messenger.saving import save


@click.command()
@click.argument("file")
@click.argument("path", type=click.Path(path_type=Path), default=Path())
@asking
def command(file: str, path: Path, socket: Path | None, as_json: bool) -> None:
    """Write the FILE that has come to PATH, a new file or a folder (default: this one). Nothing is overwritten.

    \b
    meshnet-messenger save 9c1f03ab
    meshnet-messenger save 9c1f03ab /media/stick/holiday.jpg
    """
    written = save(file, path, socket)
    tell({"path": str(written)}, as_json, lambda: [str(written)])
