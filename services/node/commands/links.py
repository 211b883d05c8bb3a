"""`node links`: the neighbours."""

from __future__ import annotations

from pathlib import Path

import click

from services.node.api_words import GetLinks, Links
from services.node.commands.told import ask, asking, cut, ms, short, tell_json, tell_table


@click.command()
@asking
def command(socket: Path | None, as_json: bool) -> None:
    """The neighbours: how far, by which kind of link. The latency is that of one direction.

    \b
    node links
    node links --json
    """
    links = ask(GetLinks(), Links, socket)
    if as_json:
        tell_json(links)
        return
    tell_table(
        ("NODE", "KIND", "STATE", " LATENCY", " LOSS", " MTU", "AT"),
        (
            (
                short(link.node_id),
                link.kind,
                "up" if link.is_up else "down",
                ms(link.latency_s) if link.is_up else "-",
                f"{link.loss:.0%}",
                str(link.mtu),
                cut(link.endpoint if link.is_up or not link.why else link.why, 30),
            )
            for link in links.links
        ),
        "no neighbours: is a manager connected? (node status)",
    )
