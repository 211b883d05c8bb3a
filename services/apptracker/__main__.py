"""`apptracker ADDRESS` serves a directory there; with --query or --register it asks one instead."""

from __future__ import annotations

import asyncio
import logging
import secrets
import signal as process_signals
import sys

import click

from services.apptracker.brain import Directory
from services.apptracker.client import ask
from services.apptracker.errors import TrackerError
from services.apptracker.model import USUAL_LEASE_S, Entries, Leased, Query, Register
from services.apptracker.server import TrackerServer
from viscript.signal import SignalClient
from viscript.signal.errors import SignalError
from viscript.signal.model import Address, read_address


@click.command()
@click.argument("address", default="127.0.0.1:20000")
@click.argument("name", required=False)
@click.option("--query", is_flag=True, help="List the entries, or those of NAME.")
@click.option("--register", "endpoint", metavar="ENDPOINT", help="Enter NAME as being at ENDPOINT.")
@click.option("--key", default="", help="Public key to register with, 64 hex digits.")
@click.option("--lease", "lease_s", default=USUAL_LEASE_S, help="Seconds the entry lives.", show_default=True)
def main(address: str, name: str | None, query: bool, endpoint: str | None, key: str, lease_s: float) -> None:
    """Serve a directory of applications at ADDRESS (host:port), or ask the one there."""
    logging.basicConfig(level=logging.INFO, format="%(levelname).1s %(message)s", stream=sys.stderr)
    try:
        place = read_address(address)
        if endpoint is not None:
            if query or name is None:
                raise click.UsageError("--register takes ADDRESS and NAME, and no --query")
            leased = ask(place.host, place.port, Register(name, endpoint, key, lease_s), Leased)
            print(f"registered for {leased.lease_s:g} s, lease {leased.lease}")
        elif query:
            _print_entries(ask(place.host, place.port, Query(name), Entries))
        elif name is not None:
            raise click.UsageError("NAME goes with --query or --register")
        else:
            asyncio.run(_serve(place))
    except (TrackerError, SignalError) as error:
        sys.exit(f"apptracker: {error}")
    except OSError as error:
        sys.exit(f"apptracker: cannot listen at {address}: {error.strerror or error}")


def _print_entries(answer: Entries) -> None:
    for entry in answer.entries:
        print(f"{entry.name}  {entry.endpoint}  {entry.key or '-'}  {entry.left_s:g} s")
    if answer.more:
        print("… and more: ask for one name", file=sys.stderr)


async def _serve(place: Address) -> None:
    """Until the signal server, SIGTERM or SIGINT says so."""
    server = TrackerServer(Directory(lambda: secrets.token_hex(16)))
    loop, told = asyncio.get_running_loop(), asyncio.Event()
    for number in (process_signals.SIGTERM, process_signals.SIGINT):
        loop.add_signal_handler(number, told.set)
    async with SignalClient() as signal:
        host, port = await server.start(place.host, place.port)
        logging.getLogger(__name__).info("directory at %s", Address(host, port))
        waits = {asyncio.ensure_future(told.wait()), asyncio.ensure_future(signal.wait_shutdown())}
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()
        await server.close()


if __name__ == "__main__":
    main()
