"""The commands that ask a running node, a file each, named as the command; loaded when its command is given."""

from __future__ import annotations

import click

from services.app.commands import add_later

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


def add(group: click.Group) -> None:
    add_later(group, __name__, COMMANDS)
