"""`manager run` is the manager; the other commands ask the one that runs here, over its socket. What each needs is
imported in it.
"""

from __future__ import annotations

import sys
from pathlib import Path

import click

from services.errors import IdentityError, SettingsError
from services.manager import commands
from services.manager.errors import ManagerError


class Commands(click.Group):
    """Tells an expected error in one line: exit code 1; what was asked wrongly is click's: 2."""

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except (IdentityError, SettingsError, ManagerError) as error:
            print(f"manager: {error}", file=sys.stderr)
            sys.exit(1)


@click.group(cls=Commands)
def main() -> None:
    """The manager of a mesh: admits nodes, knows their links, finds routes."""


@main.command()
@click.option("--config", type=click.Path(path_type=Path), help="manager.yaml (default: the board's, else your own).")
@click.option(
    "--defaults",
    multiple=True,
    type=click.Path(path_type=Path),
    help="A file of the same form, over which it is laid; of several, all but the first may be missing.",
)
@click.option("--debug", is_flag=True, help="Log everything.")
def run(config: Path | None, defaults: tuple[Path, ...], debug: bool) -> None:
    """Run the manager, beside a node with the same identity, until SIGTERM.

    \b
    manager run
    manager run --config manager.yaml
    """
    import asyncio
    import logging

    from services.manager import run as running

    level = logging.DEBUG if debug else logging.INFO
    logging.basicConfig(level=level, format="%(levelname).1s %(message)s", stream=sys.stderr)
    asyncio.run(running.run(running.settle(config, defaults)))


commands.add_to(main)


if __name__ == "__main__":
    main(prog_name="manager")
