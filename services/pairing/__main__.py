"""`pairing run` is one pairing window, from the hold of the button to its end; `pairing announce` writes down what this
board says of itself on the local network. Both are units of the board.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import click

HELD_S = time.monotonic()


@click.group()
def main() -> None:
    """Pair this board with another one on the local network."""


@main.command()
@click.option("--config", type=click.Path(path_type=Path), help="manager.yaml, as the manager reads it.")
@click.option("--defaults", multiple=True, type=click.Path(path_type=Path), help="As of the manager.")
@click.option("--socket", type=click.Path(path_type=Path), help="Where to be asked.")
@click.option("--board", type=click.Path(path_type=Path), help="The supervisor's socket.")
@click.option("--user", "users", multiple=True, help="Who may see and confirm a pairing, besides root.")
def run(
    config: Path | None, defaults: tuple[Path, ...], socket: Path | None, board: Path | None, users: tuple[str, ...]
) -> None:
    """Look for the other board for two minutes, show the code, join when both buttons were pressed.

    \b
    pairing run --defaults /usr/lib/skywire/manager.yaml --config /etc/skywire/manager.yaml
    """
    import asyncio
    import logging

    from services.errors import SettingsError
    from services.manager.config import load_config
    from services.pairing.errors import DoorError
    from services.pairing.run import Places, run

    logging.basicConfig(level=logging.INFO, format="%(levelname).1s %(message)s", stream=sys.stderr)
    usual = Places()
    places = Places(socket or usual.socket, board or usual.board, users or usual.users)
    try:
        asyncio.run(run(load_config(config, defaults), places, HELD_S))
    except (SettingsError, DoorError) as error:
        print(f"pairing: {error}", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main(prog_name="pairing")
