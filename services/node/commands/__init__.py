"""The commands that ask a running node, a file each, named as the command; loaded when its command is given."""

from __future__ import annotations

import importlib

import click

COMMANDS = {
    "status": "Whether the mesh works, and what this node has of it.",
    "links": "The neighbours: how far, by which kind of link.",
    "sessions": "With whom, and by which ways.",
    "routes": "The routes that this node is a hop of.",
    "services": "What is offered here.",
    "publish": "Offer a port to the mesh, for as long as this runs.",
    "find": "What is offered in the mesh.",
    "connect": "Open a session, and tell where to dial.",
    "close": "End a session.",
    "resolve": "Who is meant by a name.",
    "pet": "Names of your own for nodes.",
    "meter": "What this node forwarded, by route and direction.",
}


class Later(click.Command):
    """Stands for a command until it is given."""

    def __init__(self, name: str, short_help: str) -> None:
        super().__init__(name, short_help=short_help)

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: object
    ) -> click.Context:
        command: click.Command = importlib.import_module(f"{__name__}.{self.name}").command
        return command.make_context(info_name, args, parent, **extra)


def add(group: click.Group) -> None:
    for name, short_help in COMMANDS.items():
        group.add_command(Later(name, short_help))
