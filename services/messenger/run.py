"""What `meshnet-messenger run` does: opens the store, serves its socket, is published in the mesh, and listens there.
Without its node it still answers from the store; messages wait.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Awaitable, Callable, Coroutine
from typing import TypeVar

from services.app.errors import AppError
from services.app.presence import Presence
from services.messenger.api import Api
from services.messenger.app import STORE, Messenger, known_owner
from services.messenger.config import Config
from services.messenger.crypto import read_vouch
from services.messenger.desk import Desk
from services.messenger.node_door import SERVICE, NodeDoor, address_of
from services.messenger.switchboard import Ways
from services.node.api_words import Publish
from services.node.errors import NodeError
from services.secrecy import hide_process
from viscript.notify import notify
from viscript.signal import SignalClient

log = logging.getLogger(__name__)

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.2, 10.0
PUBLISHED_WITHIN_S = 3600.0
STATUS_S = 5.0
SWITCH_S = 0.0005
"""How long the store's thread may hold up the loop's, and the other way round; 5 ms is seen in every message."""

T = TypeVar("T")


async def run(config: Config, signal: SignalClient) -> None:
    """Until it is cancelled. Raises StoreError, SeedFileError, ApiError."""
    hide_process()
    sys.setswitchinterval(SWITCH_S)
    door = NodeDoor(config.node, config.port, config.policy)
    me = await asyncio.to_thread(known_owner, config.card / STORE)
    if me is None:
        me = await _patiently(door.own_id, signal, "the node does not answer")
    messenger = Messenger(config, Ways(door.reach, address_of), door)
    await messenger.open(me)
    wanted = Publish(SERVICE, config.port, config.open_to)
    try:
        async with Presence(wanted, config.node) as presence:
            listening = _Listening(messenger, presence, config.port)
            api = Api(
                config.socket,
                Desk(messenger, lambda: listening.trouble),
                gid=config.group.gid if config.group else None,
                topics=config.topics,
            )
            await api.start()
            try:
                notify("READY=1")
                await _until_one_fails(
                    listening.run(), _be_vouched(messenger, door), _tell(messenger, listening, signal)
                )
            finally:
                await api.close()
    finally:
        await messenger.close()


async def _until_one_fails(*works: Coroutine[None, None, None]) -> None:
    """Raises its error alone."""
    try:
        async with asyncio.TaskGroup() as tasks:
            for work in works:
                tasks.create_task(work)
    except ExceptionGroup as group:
        raise group.exceptions[0] from None


class _Listening:
    """`trouble` says why nobody can reach this messenger, or nothing."""

    def __init__(self, messenger: Messenger, presence: Presence, port: int) -> None:
        self._messenger, self._presence, self._port = messenger, presence, port
        self._why = "it does not listen yet"

    @property
    def trouble(self) -> str:
        return self._why or self._presence.trouble

    async def run(self) -> None:
        """Once the node says where; the address stays while the node restarts."""
        pause_s = FIRST_PAUSE_S
        while True:
            try:
                address = await self._presence.wait_address(PUBLISHED_WITHIN_S)
                await self._messenger.listen(str(address), self._port)
            except (AppError, OSError) as error:
                self._why = f"it cannot listen: {error}"
                log.warning("%s", self._why)
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
            else:
                self._why = ""
                return


async def _be_vouched(messenger: Messenger, door: NodeDoor) -> None:
    """Without the node's word there are no mailboxes and no groups of one's own. Raises PeerKeyError where it is
    another node's than the one whose messages these are.
    """
    signed = await _patiently(lambda: door.vouch(messenger.own.keys.public), None, "no word for the key yet")
    read_vouch(signed, messenger.own.me)
    messenger.set_vouch(signed)


async def _tell(messenger: Messenger, listening: _Listening, signal: SignalClient) -> None:
    while True:
        count = len(messenger.board.online)
        signal.status = listening.trouble or f"works: {count} {'peer' if count == 1 else 'peers'} online"
        await asyncio.sleep(STATUS_S)


async def _patiently(ask: Callable[[], Awaitable[T]], signal: SignalClient | None, what: str) -> T:
    """Until the node answers."""
    pause_s, told = FIRST_PAUSE_S, ""
    while True:
        try:
            return await ask()
        except (NodeError, OSError) as error:
            if str(error) != told:
                told = str(error)
                log.warning("%s: %s", what, told)
            if signal is not None:
                signal.status = f"{what}: {told}"
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
