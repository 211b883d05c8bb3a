"""`node resolve`: who is meant by a name, and who says so."""

from __future__ import annotations

from pathlib import Path

import click

from services.node.api_words import Resolve, Resolved
from services.node.commands.told import ask, asking, tell_json, tell_rows


@click.command()
@click.argument("name")
@asking
def command(name: str, socket: Path | None, as_json: bool) -> None:
    """Who is meant by NAME, with or without `.sky`: one of your pet names, or one that the manager vouches for.

    \b
    node resolve alice.sky
    node resolve alice --json
    """
    found = ask(Resolve(name), Resolved, socket)
    if as_json:
        tell_json(found)
        return
    who = "a pet name of this node" if found.by == "pet" else "vouched for by the manager"
    tell_rows((("name", f"{found.name}.sky, {who}"), ("node", found.node_id), ("address", found.address)))
