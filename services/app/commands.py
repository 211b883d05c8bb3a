"""What the command lines of programs share: their options, an expected error in one line, and their log.

Loads click alone: what a command needs, a program's errors too, is imported when it is needed.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping
from pathlib import Path

import click

DEFAULTS = click.option("--defaults", type=click.Path(path_type=Path), help="A file like it, under it.")
JSON = click.option("--json", "as_json", is_flag=True, help="One JSON object.")


class Commands(click.Group):
    """Ends with 1 where an expected error is told. What was asked wrongly, and a reader who left, are click's own."""

    program: str
    """As it is named where it tells an error."""

    def expected(self) -> tuple[type[Exception], ...]:
        raise NotImplementedError

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except Exception as error:
            if isinstance(error, BrokenPipeError) or not isinstance(error, self.expected()):
                raise
            click.echo(f"{self.program}: {error}", err=True)
            sys.exit(self.code(error))

    def code(self, _error: Exception) -> int:
        return 1


class Later(click.Command):
    """Stands for a command until it is given: the `command` of the module that is named as it is."""

    def __init__(self, package: str, name: str, short_help: str) -> None:
        super().__init__(name, short_help=short_help)
        self._module = f"{package}.{name.replace('-', '_')}"

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: object
    ) -> click.Context:
        command: click.Command = importlib.import_module(self._module).command
        return command.make_context(info_name, args, parent, **extra)


def add_later(group: click.Group, package: str, commands: Mapping[str, str]) -> None:
    """`commands`: names, and what each is for in a few words."""
    for name, short_help in commands.items():
        group.add_command(Later(package, name, short_help))


def log_to_stderr(*, debug: bool = False) -> None:
    """From now on. A letter and the text: systemd adds the rest."""
    import logging  # noqa: PLC0415 (only for what runs)

    level = logging.DEBUG if debug else logging.INFO
    logging.basicConfig(level=level, format="%(levelname).1s %(message)s", stream=sys.stderr)
