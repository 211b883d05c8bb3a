"""`meshnet-messenger chat`."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from services.messenger.chat import chat_by_lines, chat_live


@click.command()
@click.argument("whom")
@click.option("--socket", type=click.Path(path_type=Path), envvar="MESSENGER_SOCKET", help="The messenger's socket.")
def command(whom: str, socket: Path | None) -> None:
    """Write to WHOM line by line, and see what comes. Ctrl+D ends. Without a terminal: lines of standard input.

    \b
    meshnet-messenger chat alice
    printf 'one\\ntwo\\n' | meshnet-messenger chat alice
    """
    if sys.stdin.isatty() and sys.stdout.isatty():
        chat_live(whom, click.echo, socket)
    else:
        chat_by_lines(whom, sys.stdin, click.echo, socket)
