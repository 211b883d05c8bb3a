"""`meshnet-messenger msg`: one message, and if it is wished, until it is there."""

from __future__ import annotations

import secrets
import sys
from pathlib import Path

import click

from services.messenger.api_words import Send, Sent
from services.messenger.commands.asking import ask, asking, tell
from services.messenger.sending import THERE, send_and_wait
from services.messenger.told import STATES


@click.command()
@click.argument("whom")
@click.argument("text", nargs=-1, required=True)
@click.option("--reply-to", default="", help="The id of the message that this answers.")
@click.option("--wait", "wait_s", type=click.FloatRange(0, 86400), default=0.0, help="Seconds until it must be there.")
@asking
def command(whom: str, text: tuple[str, ...], reply_to: str, wait_s: float, socket: Path | None, as_json: bool) -> None:
    """Send TEXT to WHOM: a node id, a name, or a group ('group:NAME'). `-` reads the text from standard input.

    Done when it is kept here: it is tried again until it is there. With --wait the exit code is 1 where it was not
    there in time; it is still tried.

    \b
    meshnet-messenger msg alice I am at the door
    meshnet-messenger msg --wait 10 alice hello
    date | meshnet-messenger msg alice -
    """
    said = sys.stdin.read().rstrip("\n") if text == ("-",) else " ".join(text)
    request = Send(whom, said, reply_to, once=secrets.token_hex(16))
    message = send_and_wait(request, wait_s, socket) if wait_s else ask(request, Sent, socket).message
    tell(message, as_json, lambda: [] if not wait_s else [STATES[message.state]])
    if wait_s and message.state not in THERE:
        raise click.exceptions.Exit(1)
