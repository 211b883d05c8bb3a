"""The commands about other clusters: `manager peer`, `peers` and `unpeer`. What each needs is imported in it."""

# ruff: noqa: PLC0415 (a command line imports what the command needs)
from __future__ import annotations

import click

from services.app.commands import JSON
from services.manager.telling import tell

EXPORT = click.option(
    "--export", "exports", metavar="NAME[@NODE]", multiple=True, help="A service that they may use; again for more."
)
NOTHING = click.option("--export-nothing", is_flag=True, help="They may use nothing, whatever manager.yaml says.")
RELAYS = click.option(
    "--relays/--border-only",
    "relays",
    default=None,
    help="Whether nodes here carry their sessions, or the border alone.",
)
NAME = click.option("--name", default="", help="What they are called here: their NODE is then NODE.NAME.sky.")


def add_to(group: click.Group) -> None:
    for command in (peer, peers, unpeer):
        group.add_command(command)


@click.command()
@click.argument("manager_id", metavar="ID[@HOST:PORT]")
@click.option("--at", default="", metavar="HOST:PORT", help="Where their join port is.")
@EXPORT
@NOTHING
@RELAYS
@NAME
@JSON
def peer(
    manager_id: str,
    at: str,
    exports: tuple[str, ...],
    export_nothing: bool,
    relays: bool | None,
    name: str,
    as_json: bool,
) -> None:
    """Ask another cluster to peer, by the id of a manager of theirs. It waits for their operator.

    \b
    manager peer 31ab… --at 203.0.113.7:7997 --export vpn --name london
    """
    from services.manager import api_words as words

    asked = words.Peer(manager_id, at, _given(exports, export_nothing), relays, name)
    tell(asked, words.Done, as_json, lambda _: [])


@click.group(invoke_without_command=True)
@JSON
@click.pass_context
def peers(context: click.Context, as_json: bool) -> None:
    """Other clusters: who asks, who is peered, what they may use.

    \b
    manager peers
    """
    if context.invoked_subcommand is None:
        from services.manager import api_words as words
        from services.manager.peering import tables

        tell(words.GetPeers(), words.Peers, as_json, tables.peers)


@peers.command()
@click.argument("manager_id", metavar="ID")
@EXPORT
@NOTHING
@RELAYS
@NAME
@JSON
def accept(
    manager_id: str,
    exports: tuple[str, ...],
    export_nothing: bool,
    relays: bool | None,
    name: str,
    as_json: bool,
) -> None:
    """Peer with a cluster that asks, or change what one may use that is peered.

    \b
    manager peers accept 31ab --export vpn --export web@kitchen --name paris
    """
    from services.manager import api_words as words

    asked = words.AnswerPeer(manager_id, True, _given(exports, export_nothing), relays, name)
    tell(asked, words.Done, as_json, lambda _: [])


@peers.command()
@click.argument("manager_id", metavar="ID")
@JSON
def refuse(manager_id: str, as_json: bool) -> None:
    """Refuse a cluster that asks; it asks in vain until you peer with it.

    \b
    manager peers refuse 31ab
    """
    from services.manager import api_words as words

    tell(words.AnswerPeer(manager_id, False), words.Done, as_json, lambda _: [])


@click.command()
@click.argument("manager_id", metavar="ID")
@JSON
def unpeer(manager_id: str, as_json: bool) -> None:
    """End a peering: links, routes, sessions and services of theirs go at once. Also takes back a request.

    \b
    manager unpeer london
    """
    from services.manager import api_words as words

    tell(words.Unpeer(manager_id), words.Done, as_json, lambda _: [])


def _given(exports: tuple[str, ...], nothing: bool) -> tuple[str, ...] | None:
    """None is what manager.yaml says, or what stands."""
    if exports and nothing:
        raise click.UsageError("--export and --export-nothing exclude each other")
    return exports if exports or nothing else None
