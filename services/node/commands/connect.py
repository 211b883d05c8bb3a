"""`node connect`: a session with another node, and where to dial in it."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from services.manager.routes.policy import Policy
from services.node.api_words import Connect, Connected
from services.node.commands.told import ask, asking, tell_json

LISTS = {"via", "exclude"}


@click.command()
@click.argument("whom")
@click.argument("service")
@click.option("--policy", "wishes", multiple=True, metavar="K=V", help="A wish for the routes; may be given again.")
@asking
def command(whom: str, service: str, wishes: tuple[str, ...], socket: Path | None, as_json: bool) -> None:
    """Open a session with WHOM (an id or a name) for SERVICE, and tell the address to dial.

    Wishes: metric=latency|price|bandwidth, hops_at_least=N, hops_at_most=N, via=ID,ID, exclude=ID,ID.

    \b
    node connect alice.sky socks
    node connect 31ab… web --policy hops_at_least=2 --policy metric=price
    """
    connected = ask(Connect(whom, service, read_policy(wishes)), Connected, socket)
    if as_json:
        tell_json(connected)
    else:
        click.echo(f"[{connected.address}]:{connected.port}" if connected.port else connected.address)


def read_policy(wishes: tuple[str, ...]) -> Policy:
    """Raises click.UsageError."""
    found: dict[str, object] = {}
    for wish in wishes:
        key, equals, value = wish.partition("=")
        if not equals or key in found:
            raise click.UsageError(f"'{wish}': expected a wish as key=value, each key once")
        found[key] = value.split(",") if key in LISTS else value
    try:
        return msgspec.convert(found, Policy, strict=False)
    except msgspec.ValidationError as error:
        raise click.UsageError(f"policy: {error}") from None
