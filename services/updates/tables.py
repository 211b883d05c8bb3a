"""A roll-out as lines of text, in 80 columns. Pure; the shell draws the same rows as a table of its own."""

from __future__ import annotations

from services.manager.tables import claimed, short_ids, table
from services.updates.api_words import BoardRow, Update

TITLES = ("BOARD", "VERSION", "SLOT", "STAGE", "WHY")


def update(answer: Update) -> list[str]:
    return [headline(answer), *(table(tuple(title.lower() for title in TITLES), rows(answer)) if answer.boards else ())]


def headline(answer: Update) -> str:
    if not answer.sha256:
        return "no update was rolled out yet (manager update start FILE)"
    done = sum(row.stage in {"done", "there already"} for row in answer.boards)
    of = sum(bool(row.stage) and row.stage != "left out" for row in answer.boards)
    way = "one after another" if answer.at_once == 1 else f"{answer.at_once} at once"
    why = f": {answer.why}" if answer.why else ""
    return f"update to {answer.version}, {way}: {done} of {of} boards; {answer.course}{why}"


def rows(answer: Update) -> list[tuple[str, ...]]:
    short = short_ids([row.node_id for row in answer.boards])
    return [
        (
            row.name or claimed(row.called) or short[row.node_id],
            row.version or "-",
            row.slot or "-",
            _stage(row),
            row.why or "-",
        )
        for row in answer.boards
    ]


def _stage(row: BoardRow) -> str:
    if row.stage:
        return row.stage
    return "-" if row.is_here else "absent"
