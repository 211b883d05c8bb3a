"""`apptracker ADDRESS` serves a directory there; with --query or --register it asks one instead."""

from __future__ import annotations

import asyncio
import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from services.app.commands import log_to_stderr
from services.apptracker.errors import TrackerError
from services.apptracker.model import USUAL_LEASE_S, Entries, Leased, Query, Register
from viscript.signal.errors import SignalError
from viscript.signal.model import Address, read_address

if TYPE_CHECKING:
    from viscript.signal import SignalClient

EXPECTED = {
    "node": "--node, --alone: only a directory that is served shows the mesh",
    "asked": "NAME and --type go with --query or --register",
    "register": "--register takes ADDRESS and NAME, and no --query",
}


@click.command()
@click.argument("address", default="127.0.0.1:20000")
@click.argument("name", required=False)
@click.option("--query", is_flag=True, help="List the entries, or those of NAME, or of a --type.")
@click.option("--register", "endpoint", metavar="ENDPOINT", help="Enter NAME as being at ENDPOINT.")
@click.option("--type", "kind", help="Kind of application, such as vpn.")
@click.option("--key", default="", help="Public key to register with, 64 hex digits.")
@click.option("--lease", "lease_s", default=USUAL_LEASE_S, help="Seconds the entry lives.", show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Answers as JSON.")
@click.option("--node", type=click.Path(path_type=Path), help="Socket of this machine's node.")
@click.option("--alone", is_flag=True, help="Without the services of the mesh.")
def main(
    address: str,
    name: str | None,
    query: bool,
    endpoint: str | None,
    kind: str | None,
    key: str,
    lease_s: float,
    as_json: bool,
    node: Path | None,
    alone: bool,
) -> None:
    """Serve a directory of applications at ADDRESS (host:port), or ask the one there. It shows what is registered at
    it, each entry as long as its lease, and the services of the mesh as this machine's node finds them.

    \b
    Examples:
      apptracker 127.0.0.1:20000
      apptracker 127.0.0.1:20000 --query --type vpn
      apptracker 127.0.0.1:20000 camera --register 192.0.2.7:554 --type rtsp
    """
    log_to_stderr()
    asks = query or endpoint is not None
    _expect("node", not asks or not (node or alone))
    _expect("asked", asks or (name is None and kind is None))
    try:
        place = read_address(address)
        if not asks:
            asyncio.run(_serve(place, node, alone=alone))
        elif endpoint is None:
            _query(place, Query(name, kind), as_json=as_json)
        else:
            _expect("register", name is not None and not query)
            _register(place, Register(name or "", endpoint, key, lease_s, kind or ""), as_json=as_json)
    except (TrackerError, SignalError) as error:
        sys.exit(f"apptracker: {error}")
    except OSError as error:
        sys.exit(f"apptracker: cannot listen at {address}: {error.strerror or error}")


def _expect(what: str, is_so: bool) -> None:
    if not is_so:
        raise click.UsageError(EXPECTED[what])


def _register(place: Address, register: Register, *, as_json: bool) -> None:
    from services.apptracker.client import ask
    from services.apptracker.wire import encode

    leased = ask(place.host, place.port, register, Leased)
    if as_json:
        print(encode(leased).decode(), end="")
    else:
        print(f"registered for {leased.lease_s:g} s, lease {leased.lease}")


def _query(place: Address, query: Query, *, as_json: bool) -> None:
    from services.apptracker.client import ask
    from services.apptracker.wire import encode

    answer = ask(place.host, place.port, query, Entries)
    if as_json:
        print(encode(answer).decode(), end="")
        return
    for entry in answer.entries:
        who = entry.node_id or entry.key or "-"
        print(f"{entry.name}  {entry.type or '-'}  {entry.endpoint}  {who}  {entry.left_s:g} s  {entry.source}")
    if answer.more:
        print("… and more: ask for one name", file=sys.stderr)
    if answer.away:
        print(f"without the mesh: {answer.away}", file=sys.stderr)


async def _serve(place: Address, node: Path | None, *, alone: bool) -> None:
    """Until the signal server, SIGTERM or SIGINT says so."""
    import secrets

    from services.app.program import serve
    from services.apptracker.brain import Directory
    from services.apptracker.server import TrackerServer
    from services.apptracker.view import MeshView
    from viscript.notify import notify

    directory = Directory(lambda: secrets.token_hex(16))
    server = TrackerServer(directory, None if alone else MeshView(node))

    async def work(signal: SignalClient) -> None:
        host, port = await server.start(place.host, place.port)
        try:
            logging.getLogger(__name__).info("directory at %s", Address(host, port))
            notify("READY=1")
            while True:
                signal.status = f"directory at {Address(host, port)}, {len(directory)} registered"
                await server.wait_news()
        finally:
            await server.close()

    await serve(work)


if __name__ == "__main__":
    main()
