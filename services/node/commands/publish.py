"""`node publish`: holds a service open for a program that cannot speak to the node itself."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from ipaddress import IPv6Address
from pathlib import Path

import click

from services.app.errors import UnpublishedError
from services.app.presence import Presence
from services.app.program import serve
from services.node.api_words import Publish, Published
from services.node.commands.told import asking, tell_json
from viscript.signal import SignalClient

TAKEN_WITHIN_S = 10.0


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

    wanted = Publish(name, port, open_to, "udp" if udp else "tcp", labels)

    def told(address: IPv6Address) -> None:
        if as_json:
            tell_json(Published(str(address), port))
        else:
            click.echo(f"{name} at [{address}]:{port}; Ctrl+C ends it")
        sys.stdout.flush()

    try:
        asyncio.run(_hold(wanted, socket, told))
    except UnpublishedError as error:
        raise click.ClickException(str(error)) from None


async def _hold(wanted: Publish, socket: Path | None, told: Callable[[IPv6Address], None]) -> None:
    """Also again after the node restarted, until SIGINT, SIGTERM or viscript ends it. Raises UnpublishedError."""

    async def work(signal: SignalClient) -> None:
        async with Presence(wanted, socket) as presence:
            told(await presence.wait_address(TAKEN_WITHIN_S))
            signal.status = f"'{wanted.name}' is offered at port {wanted.port}"
            await asyncio.Event().wait()

    await serve(work)
