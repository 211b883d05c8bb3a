"""`meshnet-socks-server run` leads mesh nodes to the Internet. What it needs is imported in the command."""

from __future__ import annotations

from pathlib import Path

import click

from services.app.commands import DEFAULTS
from services.socks.commands import SocksCommands, live

CONFIG = click.option("--config", type=click.Path(path_type=Path), help="socks-server.yaml.")


class SocksServerCommands(SocksCommands):
    program = "meshnet-socks-server"


@click.group(cls=SocksServerCommands)
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
    from services.socks.server.config import load_config
    from services.socks.server.program import serve

    settings = load_config(config, defaults)
    live(lambda room, signal: serve(room, settings, listen, signal))


if __name__ == "__main__":
    main(prog_name="meshnet-socks-server")
