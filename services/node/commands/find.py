"""`node find`: what is offered in the mesh, as the nodes that offer it signed it."""

from __future__ import annotations

from pathlib import Path

import click

from services.node.api_words import Find, Services
from services.node.commands.told import ask, asking, cut, short, tell_json, tell_table


@click.command()
@click.argument("name", default="")
@click.option("--at", "whom", default="", metavar="WHOM", help="Those of one node: an id or a name.")
@asking
def command(name: str, whom: str, socket: Path | None, as_json: bool) -> None:
    """What is offered in the mesh: all, or the services called NAME.

    \b
    node find
    node find socks
    node find --at alice.sky
    """
    services = ask(Find(name, whom), Services, socket)
    tell_json(services) if as_json else tell_services(services, "nothing found")


def tell_services(services: Services, nothing: str) -> None:
    tell_table(
        ("SERVICE", "NODE", " PORT", "OPEN TO"),
        (
            (
                cut(service.name, 24),
                short(service.node_id),
                str(service.port),
                cut(", ".join(cut(text, 20) for text in service.open_to), 30) or "anyone",
            )
            for service in services.services
        ),
        nothing,
    )
