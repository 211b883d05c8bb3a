"""`node publish`: holds a service open for a program that cannot speak to the node itself."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from services.node.api_words import Publish, Published
from services.node.commands.told import asking, hold, tell_json


@click.command()
@click.argument("name")
@click.argument("port", type=click.IntRange(1, 65535))
@click.option("--to", "open_to", multiple=True, metavar="WHO", help="A node id or cluster:ID; may be given again.")
@click.option("--label", "labels", multiple=True, help="A word to be chosen by, such as country=de.")
@click.option("--udp", is_flag=True, help="A UDP port instead of TCP.")
@asking
def command(
    name: str,
    port: int,
    open_to: tuple[str, ...],
    labels: tuple[str, ...],
    udp: bool,
    socket: Path | None,
    as_json: bool,
) -> None:
    """Offer PORT on the session address as service NAME, for as long as this runs. Without --to, to anyone.

    \b
    node publish web 8080
    node publish socks 1080 --to 31ab…  --to cluster:77c0…
    """

    def told(published: Published) -> None:
        if as_json:
            tell_json(published)
        else:
            click.echo(f"{name} at [{published.address}]:{published.port}; Ctrl+C ends it")
        sys.stdout.flush()

    try:
        hold(Publish(name, port, open_to, "udp" if udp else "tcp", labels), Published, socket, told)
    except KeyboardInterrupt:
        return
    raise click.ClickException("the node has ended")
