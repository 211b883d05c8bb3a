"""`node status`: one line that says whether the mesh works, and the figures behind it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click

from services.node.api_words import GetStatus, Status
from services.node.commands.told import ask, asking, tell_json, tell_rows


@click.command()
@asking
def command(socket: Path | None, as_json: bool) -> None:
    """Whether the mesh works, and what this node has of it. It ends with 1 where it does not work.

    \b
    node status
    node status --json
    """
    status = ask(GetStatus(), Status, socket)
    tell_json(status) if as_json else tell_rows(_rows(status))
    if not status.works:
        click.get_current_context().exit(1)


def _rows(status: Status) -> Iterator[tuple[str, str]]:
    yield "state", status.summary
    yield "node", status.node_id
    yield "address", status.session_address
    for number, manager in enumerate(status.managers):
        where = manager.at or manager.node_id
        yield "managers" if not number else "", f"{where}  {'connected' if manager.is_connected else 'away'}"
    yield "links", f"{status.links_up} of {status.links} up"
    yield "holds", f"{status.sessions} sessions, {status.routes} routes, {status.services} services"
    yield "refused", ", ".join(f"{count} {name}" for name, count in status.refused.items()) or "nothing"
    for number, trouble in enumerate(status.troubles):
        yield "troubles" if not number else "", f"{trouble.count} x {trouble.what}"
