"""`manager run` is the manager; the other commands ask the one that runs here, over its socket. What each needs is
imported in it.
"""

from __future__ import annotations

from pathlib import Path

import click

from services.app.commands import Commands, log_to_stderr
from services.errors import IdentityError, SettingsError
from services.manager import commands
from services.manager.errors import ManagerError


class ManagerCommands(Commands):
    program = "manager"

    def expected(self) -> tuple[type[Exception], ...]:
        return (IdentityError, SettingsError, ManagerError)


@click.group(cls=ManagerCommands)
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

    from services.manager import run as running

    log_to_stderr(debug=debug)
    asyncio.run(running.run(running.settle(config, defaults)))


commands.add_to(main)


if __name__ == "__main__":
    main(prog_name="manager")
