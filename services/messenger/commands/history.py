"""`meshnet-messenger history`: what was said, which is read thereby."""

from __future__ import annotations

from pathlib import Path

import click

from services.messenger.api_words import Done, GetHistory, Messages, Read
from services.messenger.commands.asking import ask, asking, names, tell
from services.messenger.told import history_lines


@click.command()
@click.argument("whom", default="")
@click.option("-n", "limit", type=click.IntRange(1, 500), default=50, help="How many (50).")
@click.option("--since", type=click.IntRange(0), help="Those after the message of that number, the first of them.")
@click.option("--before", type=click.IntRange(0), default=0, help="Those before the message of that number.")
@click.option("--unread", is_flag=True, help="Only those not read yet.")
@click.option("--keep-unread", is_flag=True, help="Tell nobody that it was read.")
@asking
def command(
    whom: str,
    limit: int,
    since: int | None,
    before: int,
    unread: bool,
    keep_unread: bool,
    socket: Path | None,
    as_json: bool,
) -> None:
    """The latest of the conversation with WHOM, or of all. What is shown of one conversation counts as read.

    \b
    meshnet-messenger history alice
    meshnet-messenger history alice -n 10 --before 120
    """
    messages = ask(GetHistory(whom, since, before, limit, unread), Messages, socket)
    nothing = f"nothing was said with '{whom}' yet (meshnet-messenger msg {whom} …)" if whom else "nothing was said yet"
    tell(messages, as_json, lambda: history_lines(messages.messages, nothing, None if whom else names(socket)))
    if whom and not keep_unread and any(message.state == "unread" for message in messages.messages):
        ask(Read(whom, messages.messages[-1].number), Done, socket)
