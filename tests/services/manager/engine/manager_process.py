"""One manager of a cluster as a process of its own, which tells on standard output when it leads, and for how long.

manager_process.py SEED SECRET ADDRESS FOLDER OTHER OTHER
ready <pid of its nats-server>
lead <monotonic seconds> <revision>          every 20 ms while it does
"""

import asyncio
import contextlib
import logging
import signal
import sys
import time
from ipaddress import ip_address
from pathlib import Path

from services.keys import Identity
from services.manager.engine import Engine
from services.manager.errors import BusError
from services.secrecy import Secret


async def main(seed: str, secret: str, address: str, folder: str, *others: str) -> None:
    engine = Engine(
        Identity(Secret(bytes.fromhex(seed))),
        Secret(bytes.fromhex(secret)),
        ip_address(address),
        Path(folder),
        tuple(ip_address(other) for other in others),
    )
    here = asyncio.current_task()
    assert here is not None
    # asyncio.run has no handler for it where a shell started the tests in the background, with SIGINT ignored
    asyncio.get_running_loop().add_signal_handler(signal.SIGINT, here.cancel)
    await engine.start()
    print("ready", engine.server.pid, flush=True)
    try:
        while True:
            with contextlib.suppress(BusError):
                print("lead", time.monotonic(), engine.lease.next_revision(), flush=True)
            await asyncio.sleep(0.02)
    finally:
        await engine.stop()


logging.basicConfig(level=logging.WARNING)
with contextlib.suppress(asyncio.CancelledError):
    asyncio.run(main(*sys.argv[1:]))
