"""`python -m viscript.launcher.starter`: run by systemd, as root, on the socket it was activated with."""

from __future__ import annotations

import logging
import os
import pwd
import socket
import sys
from pathlib import Path

import click

from viscript.errors import ViscriptError
from viscript.launcher.starter.actions import Rules
from viscript.launcher.starter.files import Files
from viscript.launcher.starter.held import Held, read_given
from viscript.launcher.starter.model import OUTPUTS
from viscript.launcher.starter.server import serve
from viscript.signal.errors import AddressError
from viscript.signal.model import read_address


@click.command()
@click.option("--config", type=click.Path(path_type=Path), required=True, help="Configuration of applications.")
@click.option("--image", type=click.Path(path_type=Path), help="Applications that came with this machine's image.")
@click.option("--allow-user", required=True, help="The one user whose requests are answered.")
@click.option("--prefix", type=click.Path(path_type=Path), default=Path(sys.prefix), help="Where paths start.")
@click.option("--signal-address", default="127.0.0.1:7999", help="Signal server the applications report to.")
@click.option("--outputs", type=click.Path(path_type=Path), default=Path(OUTPUTS), help="For output and input files.")
@click.option("--socket", "path", type=click.Path(path_type=Path), help="Listen here if not activated.")
def main(
    config: Path,
    image: Path | None,
    allow_user: str,
    prefix: Path,
    signal_address: str,
    outputs: Path,
    path: Path | None,
) -> None:
    """Start and stop configured applications as systemd units, for viscript."""
    logging.basicConfig(level=logging.INFO, format="%(levelname).1s %(message)s", stream=sys.stderr)
    try:
        rules = Rules(pwd.getpwnam(allow_user).pw_uid, config, prefix, read_address(signal_address), image)
        given = read_given(os.environ, os.getpid())
        with _listen(given.listener, path) as listener:
            serve(listener, rules, Files(outputs, Held(given.inputs)))
    except KeyError:
        sys.exit(f"starter: user '{allow_user}' does not exist")
    except (ViscriptError, AddressError, OSError) as error:
        sys.exit(f"starter: {error}")
    except KeyboardInterrupt:
        sys.exit(1)


def _listen(given: int | None, path: Path | None) -> socket.socket:
    """The activated socket, or one of our own at `path` for laboratories."""
    if given is not None:
        return socket.socket(fileno=given)
    if path is None:
        raise click.UsageError("not socket-activated: give --socket")
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    umask = os.umask(0o177)
    try:
        listener.bind(str(path))
    finally:
        os.umask(umask)
    listener.listen(8)
    return listener


if __name__ == "__main__":
    main()
