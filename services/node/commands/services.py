"""`node services`: what applications on this machine offer."""

from __future__ import annotations

from pathlib import Path

import click

from services.node.api_words import GetServices, Services
from services.node.commands.find import tell_services
from services.node.commands.told import ask, asking, tell_json


@click.command()
@asking
def command(socket: Path | None, as_json: bool) -> None:
    """What is offered here, and to whom.

    \b
    node services
    node services --json
    """
    services = ask(GetServices(), Services, socket)
    tell_json(services) if as_json else tell_services(services, "nothing is offered here (node publish)")
