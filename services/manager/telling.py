"""Asks the manager which runs here and prints its answer, for the commands. What each needs is imported in it."""

# ruff: noqa: PLC0415 (a command line imports what the command needs)
from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    import msgspec


def tell(request: msgspec.Struct, kind: type[Any], as_json: bool, render: Callable[[Any], list[str]]) -> None:
    from services.manager.client import ask

    answer = ask(request, kind)
    if as_json:
        _print_json(answer)
        return
    for line in render(answer):
        click.echo(line)


def _print_json(answer: msgspec.Struct) -> None:
    import msgspec

    click.echo(msgspec.json.encode(answer).decode())
