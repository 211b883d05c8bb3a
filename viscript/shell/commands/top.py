"""`top`: what all running applications use, the busiest first; on a terminal drawn anew each second."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from viscript.api.model import AskTop, NodeReplies, TopRow, TopTable
from viscript.shell.boards import data_of, on_nodes, problems_of
from viscript.shell.model import Act, Answer, Command, Question, Talk
from viscript.shell.parse import expect_nothing, take_flag
from viscript.shell.render import duration, quantity

if TYPE_CHECKING:
    from viscript.shell.tables import Grid

INTERVAL_S = 1.0
TITLES = (" ID", "APP", " CPU %", " MEMORY", " THREADS", " RUNNING", "STATUS")
LEAVE = frozenset(b"qQ\x03\x04\x1a\x1b")
"""q, Ctrl+C, Ctrl+D, Ctrl+Z, Esc."""


def ask(words: list[str]) -> Question[TopTable]:
    expect_nothing("top", words)
    return Question(AskTop(), TopTable, show)


def show(table: TopTable) -> Answer:
    from viscript.shell.tables import lines_of  # noqa: PLC0415 (it loads rich)

    if not table.rows:
        return Answer(("No apps are running.",), table)
    return Answer(lines_of(_grid_here(table)), table)


def talk(talk: Talk, words: list[str]) -> Answer:
    everywhere = take_flag("top", words, "--all")
    if talk.live and not talk.as_json:
        _show_live(talk, everywhere=everywhere)
        return Answer(act=Act.TOLD)
    return _show_all(talk)


def is_more(words: list[str], talk: Talk) -> bool:
    return "--all" in words or (talk.live and not talk.as_json)


def _show_all(talk: Talk) -> Answer:
    from viscript.shell.tables import Grid, lines_of  # noqa: PLC0415 (it loads rich)

    replies = talk.daemon.call(on_nodes((), AskTop()), NodeReplies)
    problems = problems_of(replies.replies)
    lines = lines_of(Grid(("NODE", *TITLES), _rows_everywhere(replies)))
    return Answer(lines, data_of(replies.replies), problems=problems, failed=bool(problems))


def _show_live(talk: Talk, *, everywhere: bool) -> None:
    from viscript.shell.keyboard import single_keys, wait_key  # noqa: PLC0415 (only on a terminal)
    from viscript.shell.tables import show_live  # noqa: PLC0415 (it loads rich)

    def draw() -> "Grid":
        if everywhere:
            return _grid_everywhere(talk.daemon.call(on_nodes((), AskTop()), NodeReplies))
        return _grid_here(talk.daemon.call(AskTop(), TopTable))

    with single_keys() as terminal:
        show_live(draw, lambda: not LEAVE.isdisjoint(wait_key(terminal, INTERVAL_S)))


def _grid_here(table: TopTable) -> "Grid":
    from viscript.shell.tables import Grid  # noqa: PLC0415 (it loads rich)

    return Grid(TITLES, [_cells(row) for row in _sort(table.rows)])


def _grid_everywhere(replies: NodeReplies) -> "Grid":
    """A row for each app of each board; a board that did not answer has one that says so."""
    from viscript.shell.tables import Grid  # noqa: PLC0415 (it loads rich)

    failed = [(reply.node, reply.error.text) for reply in replies.replies if reply.error is not None]
    silent = [(node, *("-" for _ in TITLES[1:]), text) for node, text in failed]
    return Grid(("NODE", *TITLES), [*_rows_everywhere(replies), *silent])


def _rows_everywhere(replies: NodeReplies) -> list[tuple[str, ...]]:
    found: list[tuple[float, tuple[str, ...]]] = []
    for reply in replies.replies:
        if reply.error is None:
            rows = ask([]).decode(reply.result).rows
            found += [(row.usage.cpu_percent, (reply.node, *_cells(row))) for row in rows]
    return [cells for _, cells in sorted(found, key=lambda pair: -pair[0])]


def _sort(rows: Iterable[TopRow]) -> list[TopRow]:
    return sorted(rows, key=lambda row: -row.usage.cpu_percent)


def _cells(row: TopRow) -> tuple[str, ...]:
    used = row.usage
    status = row.status or ("" if row.connected else "not on signal")
    figures = (f"{used.cpu_percent:.1f}", quantity(used.rss), str(used.threads), duration(used.uptime_s))
    return (str(row.id), row.app, *figures, status)


COMMAND = Command(
    ("top",),
    "top [--all]",
    "Watch what the apps use; --all on all boards",
    "top",
    ask,
    talk,
    is_more,
    flags=("--all",),
)
