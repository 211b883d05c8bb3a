"""The only door to rich: tables as lines of text, and one that is drawn anew on a terminal. Loaded only by commands
that have a table.
"""

from __future__ import annotations

import io
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from viscript.shell.render import plain
from viscript.shell.screen import has_colours

COLUMNS = 80


@dataclass(frozen=True, slots=True)
class Grid:
    """Titles, and rows of as many cells; a title that begins with a blank stands over figures, which are set to the
    right and never shortened.
    """

    titles: tuple[str, ...]
    rows: list[tuple[str, ...]]


def lines_of(grid: Grid) -> tuple[str, ...]:
    """The table in 80 columns, or as many as the terminal has."""
    width = shutil.get_terminal_size((COLUMNS, 24)).columns if sys.stdout.isatty() else COLUMNS
    console = _make_console(io.StringIO(), width)
    with console.capture() as drawn:
        console.print(make_table(grid))
    return tuple(line.rstrip() for line in drawn.get().splitlines())


def make_table(grid: Grid) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for title in grid.titles:
        figures = title.startswith(" ")
        table.add_column(title.strip(), justify="right" if figures else "left", no_wrap=figures)
    for row in grid.rows:
        # Rich narrows only columns that may wrap; that cells then end in an ellipsis is said by each of them.
        cells = (Text(plain(cell).replace("\n", " "), no_wrap=True, overflow="ellipsis") for cell in row)
        table.add_row(*cells)
    return table


def show_live(draw: Callable[[], Grid], wait: Callable[[], bool]) -> None:
    """Draw until `wait`, which takes the pause between two pictures, says that it is enough."""
    with Live(console=_make_console(None, None), screen=True, auto_refresh=False) as live:
        while True:
            live.update(make_table(draw()), refresh=True)
            if wait():
                return


def _make_console(file: io.StringIO | None, width: int | None) -> Console:
    coloured = has_colours()
    return Console(
        file=file,
        width=width,
        color_system="standard" if coloured else None,
        force_terminal=None if file is None else coloured,
        highlight=False,
        markup=False,
    )
