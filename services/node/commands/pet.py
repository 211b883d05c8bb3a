"""`node pet`: names of one's own."""

from __future__ import annotations

from pathlib import Path

import click

from services.node.api_words import GetPets, Pets, SetPet
from services.node.commands.told import ask, asking, cut, tell_json, tell_table


@click.command()
@click.argument("name", default="")
@click.argument("node_id", default="")
@click.option("--forget", is_flag=True, help="Take the name away.")
@asking
def command(name: str, node_id: str, forget: bool, socket: Path | None, as_json: bool) -> None:
    """Call NODE_ID by NAME from now on, or list the names. They win over names that the manager vouches for.

    \b
    node pet
    node pet alice 31ab…
    node pet alice --forget
    """
    if name and bool(node_id) == forget:
        raise click.UsageError("give a name and a node id, or a name and --forget")
    request = SetPet(name, node_id) if name else GetPets()
    pets = ask(request, Pets, socket)
    if as_json:
        tell_json(pets)
        return
    tell_table(("NAME", "NODE"), ((cut(f"{pet.name}.sky", 14), pet.node_id) for pet in pets.pets), "no pet names")
