"""`manager run`, from its configuration to its end: by SIGTERM, SIGINT, or the signal server's word."""

from __future__ import annotations

import asyncio
import gc
import logging
import signal as process_signals
from pathlib import Path

from services import seed_file
from services.keys import Identity
from services.manager.config import Config, load_config
from services.manager.errors import LocalNodeError
from services.manager.manager import Manager
from services.notify import notify
from services.secrecy import hide_process
from viscript.signal import SignalClient

log = logging.getLogger(__name__)

AGAIN_S = 1.0


async def run(config: Config) -> None:
    """Raises IdentityError, ManagerError."""
    with seed_file.read(config.seed) as seed:
        identity = Identity(seed)
    loop, told = asyncio.get_running_loop(), asyncio.Event()
    for number in (process_signals.SIGTERM, process_signals.SIGINT):
        loop.add_signal_handler(number, told.set)
    async with SignalClient() as signal:
        signal.status = "starts"
        work = asyncio.ensure_future(_serve(identity, config, signal))
        waits = [asyncio.ensure_future(told.wait()), asyncio.ensure_future(signal.wait_shutdown())]
        await asyncio.wait({work, *waits}, return_when=asyncio.FIRST_COMPLETED)
        notify("STOPPING=1")
        for task in (work, *waits):
            task.cancel()
        ended = await asyncio.gather(work, return_exceptions=True)
    if isinstance(ended[0], Exception):
        raise ended[0]


async def _serve(identity: Identity, config: Config, signal: SignalClient) -> None:
    manager = await _started(identity, config, signal)
    try:
        gc.collect()
        gc.freeze()
        notify("READY=1")
        log.info("manager '%s' admits nodes at port %d", manager.me, manager.door.port)
        await asyncio.Event().wait()
    finally:
        await manager.stop()


async def _started(identity: Identity, config: Config, signal: SignalClient) -> Manager:
    """As soon as the node beside it is there."""
    said = ""
    while True:
        manager = Manager(identity, config)
        try:
            await manager.start()
        except LocalNodeError as error:
            if str(error) != said:
                log.warning("waits for the node here: %s", error)
            said = str(error)
            signal.status = f"waits for the node here: {error}"
            await asyncio.sleep(AGAIN_S)
            continue
        return manager


def settle(path: Path | None, defaults: Path | None) -> Config:
    """The configuration, where the process is one that nobody looks into. Raises SettingsError, OSError."""
    hide_process()
    return load_config(path, defaults)
