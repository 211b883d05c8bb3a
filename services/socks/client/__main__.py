"""`meshnet-socks-client run` is a proxy on this machine, whose way out is a server of the mesh.

What it needs is imported in the command.
"""

from __future__ import annotations

from pathlib import Path

import click

from services.app.commands import DEFAULTS
from services.socks.commands import SocksCommands, live

CONFIG = click.option("--config", type=click.Path(path_type=Path), help="socks-client.yaml.")


class SocksClientCommands(SocksCommands):
    program = "meshnet-socks-client"


@click.group(cls=SocksClientCommands)
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
    from services.socks.client.config import load_config
    from services.socks.client.program import serve

    settings = load_config(config, defaults)
    live(lambda room, signal: serve(room, settings, server, signal))


if __name__ == "__main__":
    main(prog_name="meshnet-socks-client")
