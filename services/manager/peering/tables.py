"""Peers as lines of text, in 80 columns. Pure."""

from __future__ import annotations

from services.manager import api_words as words
from services.manager.tables import short_ids, table, wrapped


def peers(answer: words.Peers) -> list[str]:
    """A line each, then what each may use and what keeps it."""
    short = short_ids([row.manager_id for row in answer.peers])
    rows = [
        (short[row.manager_id], row.name or "-", _stage(row), str(row.routes), row.at or "-") for row in answer.peers
    ]
    lines = table(("cluster", "name", "stage", " routes", "at"), rows)
    for row in answer.peers:
        told = [f"exports {', '.join(map(_short, row.exports))}" if row.exports else ""]
        told += [f"imports {', '.join(map(_short, row.imports))}" if row.imports else "", row.why]
        if any(told):
            lines += wrapped(f"{row.name or short[row.manager_id]}: {'; '.join(filter(None, told))}")
    return lines


def _stage(row: words.PeerRow) -> str:
    if row.stage == "asks":
        return "asks you"
    return row.stage if row.stage != "peered" or row.works else "peered, silent"


def _short(service: str) -> str:
    name, at, node = service.partition("@")
    return f"{name}{at}{node[:8] if len(node) == 64 else node}"
