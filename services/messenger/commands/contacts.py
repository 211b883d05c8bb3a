"""`meshnet-messenger contacts`: who is known, and names of one's own."""

from __future__ import annotations

from pathlib import Path

import click

from services.messenger.api_words import Contacts, GetContacts, SetContact
from services.messenger.commands.asking import ask, asking, tell
from services.messenger.told import contacts_lines


@click.group(invoke_without_command=True)
@asking
@click.pass_context
def command(context: click.Context, socket: Path | None, as_json: bool) -> None:
    """List them; or name, block or forget one.

    \b
    meshnet-messenger contacts
    meshnet-messenger contacts set 31ab… alice
    """
    if context.invoked_subcommand is None:
        _tell(GetContacts(), socket, as_json)


@command.command("set")
@click.argument("whom")
@click.argument("name")
@asking
def set_name(whom: str, name: str, socket: Path | None, as_json: bool) -> None:
    """Call WHOM by NAME from now on.

    \b
    meshnet-messenger contacts set 31ab… alice
    """
    _tell(SetContact(whom, name), socket, as_json)


@command.command()
@click.argument("whom")
@asking
def forget(whom: str, socket: Path | None, as_json: bool) -> None:
    """Take WHOM's name away; what was said stays.

    \b
    meshnet-messenger contacts forget alice
    """
    _tell(SetContact(whom, ""), socket, as_json)


@command.command()
@click.argument("whom")
@asking
def block(whom: str, socket: Path | None, as_json: bool) -> None:
    """Refuse what WHOM sends.

    \b
    meshnet-messenger contacts block mallory
    """
    _tell(SetContact(whom, is_blocked=True), socket, as_json)


@command.command()
@click.argument("whom")
@asking
def unblock(whom: str, socket: Path | None, as_json: bool) -> None:
    """Take what WHOM sends again.

    \b
    meshnet-messenger contacts unblock mallory
    """
    _tell(SetContact(whom, is_blocked=False), socket, as_json)


def _tell(request: GetContacts | SetContact, socket: Path | None, as_json: bool) -> None:
    contacts = ask(request, Contacts, socket)
    tell(contacts, as_json, lambda: contacts_lines(contacts))
