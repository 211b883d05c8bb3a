"""`meshnet-messenger mailbox`."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from services.messenger.api_words import AskMailbox, EndMailbox, GetMailboxes, Mailboxes, OfferMailbox
from services.messenger.commands.asking import ask, asking, tell
from services.messenger.told import mailboxes_lines

MB = 1_000_000
DAY_S = 86400


@click.group(invoke_without_command=True)
@asking
@click.pass_context
def command(context: click.Context, socket: Path | None, as_json: bool) -> None:
    """List them; or keep messages for others, or let others keep them for this node. What is kept is sealed.

    \b
    meshnet-messenger mailbox
    meshnet-messenger mailbox offer alice        (on the node that shall keep)
    meshnet-messenger mailbox ask carol          (on alice's: carol shall keep)
    """
    if context.invoked_subcommand is None:
        _tell(GetMailboxes(), socket, as_json)


@command.command()
@click.argument("whom")
@click.option("--quota", type=click.IntRange(1, 1000), default=20, help="MB at most (20).")
@click.option("--days", type=click.IntRange(1, 365), default=30, help="How long each item is kept (30).")
@asking
def offer(whom: str, quota: int, days: int, socket: Path | None, as_json: bool) -> None:
    """Keep for WHOM what others cannot deliver.

    \b
    meshnet-messenger mailbox offer alice --quota 5 --days 7
    """
    _tell(OfferMailbox(whom, quota * MB, days * DAY_S), socket, as_json)


@command.command("ask")
@click.argument("whom")
@asking
def ask_for(whom: str, socket: Path | None, as_json: bool) -> None:
    """Let WHOM keep for this node what others cannot deliver.

    \b
    meshnet-messenger mailbox ask carol
    """
    _tell(AskMailbox(whom), socket, as_json)


@command.command()
@click.argument("whom")
@asking
def end(whom: str, socket: Path | None, as_json: bool) -> None:
    """End what was offered to WHOM or asked of WHOM; what is kept is forgotten.

    \b
    meshnet-messenger mailbox end alice
    """
    _tell(EndMailbox(whom), socket, as_json)


def _tell(request: msgspec.Struct, socket: Path | None, as_json: bool) -> None:
    boxes = ask(request, Mailboxes, socket)
    tell(boxes, as_json, lambda: mailboxes_lines(boxes))
