"""`meshnet-messenger run` is the messenger; the other commands ask the one that runs here, over its socket. What each
needs is imported in it.
"""

from __future__ import annotations

import sys
from pathlib import Path

import click

from services.messenger import commands


class Commands(click.Group):
    """Tells an expected error in one line: exit code 1, or 2 where it was asked wrongly, as click does."""

    def invoke(self, ctx: click.Context) -> object:
        from services.errors import IdentityError, SettingsError
        from services.messenger.errors import MessengerError
        from viscript.signal.errors import SignalError

        try:
            return super().invoke(ctx)
        except (IdentityError, SettingsError, MessengerError, SignalError, OSError) as error:
            if isinstance(error, BrokenPipeError):
                raise
            print(f"messenger: {error}", file=sys.stderr)
            sys.exit(2 if getattr(error, "asked_wrongly", False) else 1)


@click.group(cls=Commands)
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
    import logging

    from services.app.program import serve
    from services.messenger.config import read_config
    from services.messenger.run import run as work

    logging.basicConfig(level=logging.INFO, format="%(levelname).1s %(message)s", stream=sys.stderr)
    settings = read_config(config, defaults)
    asyncio.run(serve(lambda signal: work(settings, signal)))


if __name__ == "__main__":
    main(prog_name="meshnet-messenger")
