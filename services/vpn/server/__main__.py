"""`meshnet-vpn-server run` lets session peers out by this machine's uplink; `status` and `clients` ask the one that
runs. What each command needs is imported in it.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from services.app.commands import DEFAULTS, JSON, Commands, log_to_stderr
from services.errors import SettingsError

if TYPE_CHECKING:
    from services.vpn.server.api_words import Request
    from services.vpn.server.config import Config

T = TypeVar("T")

CONFIG = click.option("--config", type=click.Path(path_type=Path), help="vpn-server.yaml.")


class VpnServerCommands(Commands):
    program = "meshnet-vpn-server"

    def expected(self) -> tuple[type[Exception], ...]:
        from services.app.errors import AppError
        from services.kernel.errors import KernelError
        from services.node.errors import NodeError
        from services.vpn.errors import VpnError
        from viscript.signal.errors import SignalError

        return (SettingsError, VpnError, NodeError, KernelError, AppError, SignalError)


@click.group(cls=VpnServerCommands)
def main() -> None:
    """A way out to the internet for others of the mesh."""


@main.command()
@CONFIG
@DEFAULTS
def run(config: Path | None, defaults: Path | None) -> None:
    """Let clients out by this machine's uplink, until stopped. It needs root, or CAP_NET_ADMIN, and a node.

    \b
    meshnet-vpn-server run
    meshnet-vpn-server run --config vpn-server.yaml
    """
    import asyncio

    from services.vpn.server.run import run

    log_to_stderr()
    asyncio.run(run(_load(config, defaults)))


@main.command()
@CONFIG
@DEFAULTS
@JSON
def status(config: Path | None, defaults: Path | None, as_json: bool) -> None:
    """Tell whether it works, by which uplink, and what was dropped.

    \b
    meshnet-vpn-server status
    """
    from services.vpn.server.api_words import GetStatus, Status

    told = _ask(GetStatus(), Status, _load(config, defaults), as_json=as_json)
    if told is None:
        return
    print(told.summary)
    print(f"at         [{told.address}]:{told.port}")
    print(f"addresses  {', '.join(told.pools)}{' and IPv6' if told.ipv6 else ''}")
    print(f"resolvers  {', '.join(told.resolvers) or 'none that clients can be led to'}")
    for name, counts in (("dropped", told.dropped), ("refused", told.refused)):
        print(f"{name}    {', '.join(f'{what} {count}' for what, count in counts.items() if count) or 'nothing'}")


@main.command()
@CONFIG
@DEFAULTS
@JSON
def clients(config: Path | None, defaults: Path | None, as_json: bool) -> None:
    """List who is let out, with addresses and traffic.

    \b
    meshnet-vpn-server clients
    """
    from services.vpn.server.api_words import Clients, GetClients

    told = _ask(GetClients(), Clients, _load(config, defaults), as_json=as_json)
    if told is None:
        return
    for one in told.clients:
        used = "" if one.used_bytes is None else f"  {one.used_bytes / 1e6:.1f} MB of its quota"
        print(f"{one.node_id}  {one.ipv4:15}  sent {one.sent / 1e6:.1f} MB  received {one.received / 1e6:.1f} MB{used}")
    if not told.clients:
        print("nobody")


def _load(config: Path | None, defaults: Path | None) -> Config:
    from services.vpn.server.config import load_config

    return load_config(config, defaults)


def _ask(request: Request, kind: type[T], config: Config, *, as_json: bool) -> T | None:
    """None where it is printed already."""
    import msgspec

    from services.vpn.errors import AskError
    from services.vpn.server.api import ask

    answer = ask(config.socket, request)
    if as_json:
        print(msgspec.json.encode(answer).decode())
        return None
    if not isinstance(answer, kind):
        raise AskError("not an answer to that: is the server of another version?")
    return answer


if __name__ == "__main__":
    main(prog_name="meshnet-vpn-server")
