"""The arguments of `viscript headless`, settled before the daemon touches anything."""

from __future__ import annotations

import asyncio
import logging
import sys
from pathlib import Path

import click

from viscript.errors import ViscriptError
from viscript.headless import Options, run
from viscript.launcher.starter.model import SOCKET as STARTER_SOCKET
from viscript.paths import runtime_directory, user_config
from viscript.signal.errors import AddressError
from viscript.signal.model import read_address

PATH = click.Path(path_type=Path)


@click.command()
@click.option("--config", type=PATH, help="Configuration of applications (default: your own, else built in).")
@click.option("--image", type=PATH, help="Applications that came with this machine's image; for units alone.")
@click.option("--cluster", type=PATH, help="The other boards, and who may command this one (default: beside it).")
@click.option("--state-dir", type=PATH, help="Where ids and running applications are noted; on tmpfs.")
@click.option("--socket", type=PATH, help="Socket the shells use (default: api.sock in the state directory).")
@click.option("--group", help="Group whose members may use the socket.")
@click.option("--prefix", type=PATH, default=Path(sys.prefix), help="Where relative program paths start.")
@click.option("--backend", type=click.Choice(["group", "unit"]), default="group", help="How programs run.")
@click.option("--starter", type=PATH, default=Path(STARTER_SOCKET), help="The starter's socket, for units.")
@click.option("--signal-address", default="127.0.0.1:7999", help="Where the signal server listens.")
@click.option("--debug", is_flag=True, help="Log more, and show tracebacks.")
def headless(
    config: Path | None,
    image: Path | None,
    cluster: Path | None,
    state_dir: Path | None,
    socket: Path | None,
    group: str | None,
    prefix: Path,
    backend: str,
    starter: Path,
    signal_address: str,
    debug: bool,
) -> None:
    """Run viscript as a daemon: signal server, launcher and the shells' socket."""
    level = logging.DEBUG if debug else logging.INFO
    logging.basicConfig(level=level, format="%(levelname).1s %(name)s: %(message)s", stream=sys.stderr)
    if image is not None and backend != "unit":
        raise click.UsageError("what an image gives its applications only systemd can: say --backend unit")
    directory, config = state_dir or runtime_directory(), config or user_config()
    try:
        options = Options(
            config=config,
            image=image,
            cluster=cluster or config.with_name("cluster.yaml"),
            state_dir=directory,
            socket=socket or directory / "api.sock",
            group=group,
            prefix=prefix.absolute(),
            starter=starter if backend == "unit" else None,
            signal_address=read_address(signal_address),
        )
        asyncio.run(run(options, _tell))
    except AddressError as error:
        raise click.UsageError(str(error)) from error
    except (ViscriptError, OSError) as error:
        if debug:
            raise
        click.echo(f"viscript: {error}", err=True)
        sys.exit(1)


def _tell(text: str) -> None:
    click.echo(text, err=True)
