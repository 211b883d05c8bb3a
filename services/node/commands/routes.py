"""`node routes`: the labels that this node holds."""

from __future__ import annotations

from pathlib import Path

import click

from services.node.api_words import GetRoutes, Routes
from services.node.commands.told import ask, asking, short, tell_json, tell_table


@click.command()
@asking
def command(socket: Path | None, as_json: bool) -> None:
    """The routes that this node is a hop of, with its neighbours towards both ends.

    \b
    node routes
    node routes --json
    """
    routes = ask(GetRoutes(), Routes, socket)
    if as_json:
        tell_json(routes)
        return
    tell_table(
        ("ROUTE", "TO INITIATOR", "TO RESPONDER", " MTU", " IDLE"),
        (
            (
                route.route,
                short(route.initiator_side),
                short(route.responder_side),
                str(route.mtu),
                f"{route.idle_s:.0f} s",
            )
            for route in routes.routes
        ),
        "no routes",
    )
