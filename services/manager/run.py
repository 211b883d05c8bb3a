"""`manager run`, from its configuration to its end: by SIGTERM, SIGINT, or the signal server's word."""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from services import seed_file
from services.app.program import serve
from services.keys import Identity
from services.manager import api_words as words
from services.manager import tables
from services.manager.config import Config, load_config
from services.manager.errors import BusError, LocalNodeError, RefusedError
from services.manager.manager import Manager
from services.manager.peering import tables as peering_tables
from services.secrecy import hide_process
from viscript.notify import notify
from viscript.signal import SignalClient

log = logging.getLogger(__name__)

AGAIN_S = 1.0
CHECK_S = 5.0

_LISTS: dict[str, tuple[words.Request, Callable[[Any], list[str]]]] = {
    "status": (words.GetStatus(), tables.status),
    "nodes": (words.GetNodes(), tables.nodes),
    "links": (words.GetLinks(), tables.links),
    "routes": (words.GetRoutes(), tables.routes),
    "services": (words.GetServices(), tables.services),
    "names": (words.GetNames(), tables.names),
    "peers": (words.GetPeers(), peering_tables.peers),
}


async def run(config: Config) -> None:
    """Raises IdentityError, ManagerError."""
    with seed_file.read(config.seed) as seed:
        identity = Identity(seed)
    await serve(partial(_serve, identity, config))


async def _serve(identity: Identity, config: Config, signal: SignalClient) -> None:
    manager = await _started(identity, config, signal)
    if manager is None:
        _tell_over(config)
        return
    try:
        gc.collect()
        gc.freeze()
        notify("READY=1")
        log.info("manager '%s' admits nodes at port %d", manager.me, manager.door.port)
        _add_commands(manager, signal)
        while not config.is_over:
            signal.status = (await manager.health.check()).summary
            await asyncio.sleep(CHECK_S)
        _tell_over(config)
    finally:
        await manager.stop()


def _tell_over(config: Config) -> None:
    log.info("this board is of another network (%s): it needs no manager of its own, which ends", config.joined)


async def _started(identity: Identity, config: Config, signal: SignalClient) -> Manager | None:
    """As soon as the node beside it is there, and in a cluster enough of the others; None where it is not wanted."""
    said = ""
    while not config.is_over:
        manager = Manager(identity, config)
        try:
            await manager.start()
        except (LocalNodeError, BusError) as error:
            whom = "the node here" if isinstance(error, LocalNodeError) else "the bus"
            if str(error) != said:
                log.warning("waits for %s: %s", whom, error)
            said = str(error)
            signal.status = f"waits for {whom}: {error}"
            await asyncio.sleep(AGAIN_S)
            continue
        return manager
    return None


def _add_commands(manager: Manager, signal: SignalClient) -> None:
    """What viscript may ask: the same lists, and who may come or must go."""

    async def show(request: words.Request, render: Callable[[Any], list[str]]) -> str:
        return "\n".join(render(await manager.office.handle(request)))

    async def invite(lasts_s: str = "3600", uses: str = "1") -> str:
        if not (lasts_s.isdecimal() and uses.isdecimal()):
            raise RefusedError("give seconds and uses: invite 3600 1")
        return await show(words.Invite(int(lasts_s), int(uses)), lambda answer: [answer.text])

    async def find(a: str, b: str) -> str:
        return await show(words.FindRoute(a, b), tables.found)

    async def admit(node_id: str) -> str:
        return await show(words.Admit(node_id), lambda _: ["admitted"])

    async def expel(node_id: str) -> str:
        return await show(words.Expel(node_id), lambda _: ["expelled"])

    for name, asked in _LISTS.items():
        signal.add_command(name, partial(show, *asked))
    for command in (find, invite, admit, expel):
        signal.add_command(command.__name__, command)


def settle(path: Path | None, defaults: Sequence[Path]) -> Config:
    """The configuration, where the process is one that nobody looks into. Raises SettingsError, OSError."""
    hide_process()
    return load_config(path, defaults)
