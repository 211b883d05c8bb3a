"""`meshnet-socks-client run` is a proxy on this machine, whose way out is a server of the mesh.

What it needs is imported in the command.
"""

from __future__ import annotations

import sys
from pathlib import Path

import click

CONFIG = click.option("--config", type=click.Path(path_type=Path), help="socks-client.yaml.")
DEFAULTS = click.option("--defaults", type=click.Path(path_type=Path), help="A file like it, under it.")


@click.group()
def main() -> None:
    """A SOCKS5 and HTTP CONNECT proxy that goes out at a server of the mesh."""


@main.command()
@CONFIG
@DEFAULTS
@click.option("--server", metavar="ADDRESS:PORT", help="Ask the server on this machine's loopback, without a mesh.")
def run(config: Path | None, defaults: Path | None, server: str | None) -> None:
    """Serve programs on this machine, and lead them out at a server of the mesh.

    \b
    meshnet-socks-client run
    meshnet-socks-client run --config socks-client.yaml
    meshnet-socks-client run --server 127.0.0.1:1081
    curl --socks5-hostname 127.0.0.1:1080 https://example.org/
    """
    import logging

    from services.app.errors import AppError
    from services.app.program import serve as live
    from services.errors import SettingsError
    from services.node.errors import NodeError
    from services.socks.client.config import load_config
    from services.socks.client.program import serve
    from services.socks.errors import SocksError
    from services.socks.room.loop import run as run_in_room
    from viscript.signal.errors import SignalError

    logging.basicConfig(level=logging.INFO, format="%(levelname).1s %(message)s", stream=sys.stderr)
    try:
        settings = load_config(config, defaults)
        run_in_room(lambda room: live(lambda signal: serve(room, settings, server, signal)))
    except (SettingsError, SocksError, AppError, NodeError, SignalError) as error:
        print(f"meshnet-socks-client: {error}", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main(prog_name="meshnet-socks-client")
