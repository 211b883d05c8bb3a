"""`node sessions`: with whom, and by which ways."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click

from services.node.api_words import GetSessions, PathState, Sessions, SessionState
from services.node.commands.told import ask, asking, cut, ms, short, size, tell_json, tell_table


@click.command()
@asking
def command(socket: Path | None, as_json: bool) -> None:
    """With whom, and by which ways: `*` marks the one taken. Ways are measured at the initiator alone.

    \b
    node sessions
    node sessions --json
    """
    sessions = ask(GetSessions(), Sessions, socket)
    if as_json:
        tell_json(sessions)
        return
    rows = [row for session in sessions.sessions for row in _rows(session)]
    tell_table(("NODE", "SERVICE", "ROLE", " IN", " OUT", "WAY", " LATENCY"), rows, "no sessions (node connect)")


def _rows(session: SessionState) -> Iterator[tuple[str, ...]]:
    role = "initiator" if session.is_initiator else "responder"
    first = (
        short(session.node_id),
        cut(",".join(session.services), 12),
        role,
        size(session.received),
        size(session.sent),
    )
    for number, path in enumerate(session.paths):
        head = first if not number else ("", "", "", "", "")
        yield (*head, f"{'*' if path.is_active else ' '} {_way(path)}", _latency(session, path))


def _way(path: PathState) -> str:
    if not path.route:
        return "direct"
    relays = len(path.nodes) - 2
    return f"{relays} relay{'' if relays == 1 else 's'}" if path.nodes else f"route {path.route[:6]}"


def _latency(session: SessionState, path: PathState) -> str:
    if not session.is_initiator:
        return "-"
    return ms(path.latency_s) if path.is_up else "down"
