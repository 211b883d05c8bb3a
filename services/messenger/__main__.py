"""`meshnet-messenger run` is the messenger; the other commands ask the one that runs here, over its socket. What each
needs is imported in it.
"""

from __future__ import annotations

from pathlib import Path

import click

from services.app.commands import Commands, log_to_stderr
from services.messenger import commands


class MessengerCommands(Commands):
    program = "messenger"

    def expected(self) -> tuple[type[Exception], ...]:
        from services.errors import IdentityError, SettingsError
        from services.messenger.errors import MessengerError
        from viscript.signal.errors import SignalError

        return (IdentityError, SettingsError, MessengerError, SignalError, OSError)

    def code(self, error: Exception) -> int:
        return 2 if getattr(error, "asked_wrongly", False) else 1


@click.group(cls=MessengerCommands)
def main() -> None:
    """Messages and files between nodes, which nobody but the ends can read."""


commands.add(main)


@main.command()
@click.option("--config", type=click.Path(path_type=Path), help="messenger.yaml (default: the board's, else your own).")
@click.option("--defaults", type=click.Path(path_type=Path), help="A file of the same form, over which it is laid.")
def run(config: Path | None, defaults: Path | None) -> None:
    """Be the messenger of the node here, until SIGTERM.

    \b
    meshnet-messenger run
    meshnet-messenger run --config messenger.yaml
    """
    import asyncio

    from services.app.program import serve
    from services.messenger.config import read_config
    from services.messenger.run import run as work

    log_to_stderr()
    settings = read_config(config, defaults)
    asyncio.run(serve(lambda signal: work(settings, signal)))


if __name__ == "__main__":
    main(prog_name="meshnet-messenger")
