"""`node meter`: what this hop forwarded, and what the sessions that end here carried."""

from __future__ import annotations

from pathlib import Path

import click

from services.node.api_words import GetMeter, Metered
from services.node.commands.told import ask, asking, short, tell_json, tell_table


@click.command()
@asking
def command(socket: Path | None, as_json: bool) -> None:
    """What this node forwarded, by route and direction, in packets and bytes of payload (without IPv6 and UDP headers),
    and what WireGuard counted for the sessions that end here.

    \b
    node meter
    node meter --json
    """
    metered = ask(GetMeter(), Metered, socket)
    if as_json:
        tell_json(metered)
        return
    tell_table(
        ("ROUTE", "TOWARDS", "FROM DEVICE", " PACKETS", " PAYLOAD"),
        (
            (row.route, row.towards, row.device, str(row.packets), str(row.payload))
            for row in sorted(metered.hops, key=lambda row: (row.route, row.towards))
        ),
        "nothing is forwarded here",
    )
    click.echo()
    tell_table(
        ("SESSION WITH", " ROUTES", " RECEIVED", " SENT"),
        ((short(end.node_id), str(len(end.routes)), str(end.received), str(end.sent)) for end in metered.ends),
        "no session ends here",
    )
