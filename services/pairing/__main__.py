"""`pairing run` is one pairing window, from the hold of the button to its end; `pairing announce` writes down what this
board says of itself on the local network. Both are units of the board.
"""

from __future__ import annotations

import time
from pathlib import Path

import click

from services.app.commands import Commands, log_to_stderr

HELD_S = time.monotonic()


class PairingCommands(Commands):
    program = "pairing"

    def expected(self) -> tuple[type[Exception], ...]:
        from services.errors import IdentityError, SettingsError
        from services.pairing.errors import DoorError

        return (IdentityError, SettingsError, DoorError)


@click.group(cls=PairingCommands)
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

    from services.manager.config import load_config
    from services.pairing.run import Places, run

    log_to_stderr()
    usual = Places()
    places = Places(socket or usual.socket, board or usual.board, users or usual.users)
    asyncio.run(run(load_config(config, defaults), places, HELD_S))


@main.command()
@click.option("--seed", required=True, type=click.Path(path_type=Path), help="The identity.")
@click.option("--version-file", required=True, type=click.Path(path_type=Path), help="What the image is.")
@click.option("--claimed", required=True, type=click.Path(path_type=Path), help="There, if the board has an owner.")
@click.option("--joined", required=True, type=click.Path(path_type=Path), help="There, if it is of another's network.")
@click.option("--file", "path", required=True, type=click.Path(path_type=Path), help="What systemd-resolved reads.")
def announce(seed: Path, version_file: Path, claimed: Path, joined: Path, path: Path) -> None:
    """Write down what systemd-resolved shall say of this board by mDNS."""
    from services import seed_file
    from services.keys import Identity
    from services.pairing.announce import Announced, write_announced

    version = version_file.read_text() if version_file.exists() else ""
    with seed_file.read(seed) as read:
        board = Announced(Identity(read).node_id, version, claimed.exists(), joined.exists())
    write_announced(path, board)


if __name__ == "__main__":
    main(prog_name="pairing")
