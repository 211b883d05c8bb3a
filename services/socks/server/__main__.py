"""`meshnet-socks-server run` leads mesh nodes to the Internet. What it needs is imported in the command."""

from __future__ import annotations

import sys
from pathlib import Path

import click

CONFIG = click.option("--config", type=click.Path(path_type=Path), help="socks-server.yaml.")
DEFAULTS = click.option("--defaults", type=click.Path(path_type=Path), help="A file like it, under it.")


@click.group()
def main() -> None:
    """A SOCKS5 server for the nodes of the mesh."""


@main.command()
@CONFIG
@DEFAULTS
@click.option("--listen", metavar="ADDRESS:PORT", help="Serve this machine's loopback, without a mesh.")
def run(config: Path | None, defaults: Path | None, listen: str | None) -> None:
    """Publish the service `socks` and serve it at this node's session address.

    \b
    meshnet-socks-server run
    meshnet-socks-server run --config socks-server.yaml
    meshnet-socks-server run --listen 127.0.0.1:1080
    """
    import logging

    from services.app.errors import AppError
    from services.app.program import serve as live
    from services.errors import SettingsError
    from services.node.errors import NodeError
    from services.socks.errors import SocksError
    from services.socks.room.loop import run as run_in_room
    from services.socks.server.config import load_config
    from services.socks.server.program import serve
    from viscript.signal.errors import SignalError

    logging.basicConfig(level=logging.INFO, format="%(levelname).1s %(message)s", stream=sys.stderr)
    try:
        settings = load_config(config, defaults)
        run_in_room(lambda room: live(lambda signal: serve(room, settings, listen, signal)))
    except (SettingsError, SocksError, AppError, NodeError, SignalError) as error:
        print(f"meshnet-socks-server: {error}", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main(prog_name="meshnet-socks-server")
