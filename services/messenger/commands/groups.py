"""`meshnet-messenger groups`."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from services.messenger.api_words import (
    AddMember,
    Done,
    GetGroups,
    GetStatus,
    Groups,
    LeaveGroup,
    MakeGroup,
    RemoveMember,
    Status,
)
from services.messenger.commands.asking import ask, asking, tell
from services.messenger.told import groups_lines


@click.group(invoke_without_command=True)
@asking
@click.pass_context
def command(context: click.Context, socket: Path | None, as_json: bool) -> None:
    """List them; or make one, change who is in it, leave it. Write to one as 'group:NAME'.

    \b
    meshnet-messenger groups
    meshnet-messenger groups make friends alice bob
    meshnet-messenger msg group:friends hello
    """
    if context.invoked_subcommand is None:
        _tell(GetGroups(), socket, as_json)


@command.command()
@click.argument("name")
@click.argument("members", nargs=-1)
@asking
def make(name: str, members: tuple[str, ...], socket: Path | None, as_json: bool) -> None:
    """Make the group NAME of MEMBERS and this node, which says who is in it.

    \b
    meshnet-messenger groups make friends alice bob
    """
    _tell(MakeGroup(name, members), socket, as_json)


@command.command()
@click.argument("group")
@click.argument("whom")
@asking
def add(group: str, whom: str, socket: Path | None, as_json: bool) -> None:
    """Take WHOM into a GROUP of one's own.

    \b
    meshnet-messenger groups add group:friends carol
    """
    _tell(AddMember(group, whom), socket, as_json)


@command.command()
@click.argument("group")
@click.argument("whom")
@asking
def remove(group: str, whom: str, socket: Path | None, as_json: bool) -> None:
    """Take WHOM out of a GROUP of one's own.

    \b
    meshnet-messenger groups remove group:friends carol
    """
    _tell(RemoveMember(group, whom), socket, as_json)


@command.command()
@click.argument("group")
@asking
def leave(group: str, socket: Path | None, as_json: bool) -> None:
    """Be in GROUP no more.

    \b
    meshnet-messenger groups leave group:friends
    """
    tell(ask(LeaveGroup(group), Done, socket), as_json, list)


def _tell(request: msgspec.Struct, socket: Path | None, as_json: bool) -> None:
    groups = ask(request, Groups, socket)
    own_id = "" if as_json else ask(GetStatus(), Status, socket).node_id
    tell(groups, as_json, lambda: groups_lines(groups, own_id))
