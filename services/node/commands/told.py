"""How the commands ask and tell: common options, plain tables of 80 columns, words as JSON."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click
import msgspec

from services.app.commands import JSON
from services.node.line import ask_once

T = TypeVar("T", bound=msgspec.Struct)
Command = TypeVar("Command", bound=Callable[..., Any])

WIDTH = 80
SHORT = 12

_socket = click.option(
    "--socket", type=click.Path(path_type=Path), envvar="NODE_SOCKET", help="The node's socket (also NODE_SOCKET)."
)


def asking(command: Command) -> Command:
    """The options that every command here has."""
    return _socket(JSON(command))


def ask(request: msgspec.Struct, kind: type[T], socket: Path | None) -> T:
    return ask_once(request, kind, socket)


def tell_json(words: object) -> None:
    click.echo(msgspec.json.encode(words).decode())


def tell_rows(rows: Iterable[tuple[str, str]]) -> None:
    """A name and what belongs to it, which may take more lines."""
    for name, text in rows:
        lines = textwrap.wrap(text, WIDTH - 11, break_on_hyphens=False) or [""]
        for number, line in enumerate(lines):
            click.echo(f"{name if not number else '':<11}{line}".rstrip())


def tell_table(titles: Sequence[str], rows: Iterable[Sequence[str]], nothing: str) -> None:
    """Columns as wide as their longest; titles that begin with a space are of numbers, set to the right."""
    table = [tuple(titles), *map(tuple, rows)]
    if len(table) == 1:
        click.echo(nothing)
        return
    widths = [max(len(row[column].strip()) for row in table) for column in range(len(titles))]
    for row in table:
        cells = [
            cell.strip().rjust(width) if title.startswith(" ") else cell.ljust(width)
            for cell, width, title in zip(row, widths, titles, strict=True)
        ]
        click.echo("  ".join(cells).rstrip())


def short(node_id: str | None) -> str:
    return "(here)" if node_id is None else node_id[:SHORT]


def ms(seconds: float) -> str:
    return f"{seconds * 1000:.1f} ms" if seconds < 0.1 else f"{seconds * 1000:.0f} ms"


def size(count: int) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if count < 10_000:
            return f"{count} {unit}"
        count //= 1000
    return f"{count} TB"


def cut(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 1]}…"
