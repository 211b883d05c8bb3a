"""The node and the manager beside a pairing: what this board is, its word for a key, who is let in, a fresh start.

A node is restarted by ending it in order, as its own user may: whoever started it starts it again. No power over
services is needed for that.
"""

from __future__ import annotations

import asyncio
import os
import select
import signal
import socket
import struct
from pathlib import Path
from typing import TypeVar

import msgspec

from services.keys import NodeId
from services.manager import api_words as manager_words
from services.manager.client import ask
from services.manager.config import Config, read_place
from services.manager.errors import ManagerError
from services.node.api_words import Done, GetStatus, Outside, Status, Vouch, Vouched
from services.node.client import NodeClient
from services.node.errors import NodeError
from services.pairing.crypto import PURPOSE
from services.pairing.errors import DoorError
from services.pairing.model import Can

T = TypeVar("T", bound=msgspec.Struct)

END_WITHIN_S, BACK_WITHIN_S, LOOK_S = 20.0, 60.0, 0.25

_credentials = struct.Struct("iII")


class Beside:
    """Methods raise DoorError."""

    def __init__(self, config: Config) -> None:
        """The manager's: it says where its node is, too."""
        self._config = config
        self._open: NodeClient | None = None

    async def start(self, port: int) -> NodeId:
        """Who this board is. From now on its `port` is reached on the local network, until `close`."""
        self._open = NodeClient(self._config.node)
        try:
            await self._open.start()
            status = await self._open.ask(GetStatus(), Status)
            await self._open.ask(Outside((f"tcp/{port}",)), Done)
        except NodeError as error:
            raise DoorError(f"this board's node is not ready: {error}") from None
        return status.node_id

    async def close(self) -> None:
        if self._open is not None:
            await self._open.close()

    async def vouch(self, key: bytes) -> bytes:
        assert self._open is not None
        try:
            return (await self._open.ask(Vouch(PURPOSE, key), Vouched)).signed
        except NodeError as error:
            raise DoorError(f"this board's node signs nothing: {error}") from None

    async def can(self) -> Can:
        """What this board may be. A member of another network pairs no more: a factory reset makes it new."""
        if self._config.is_over:
            raise DoorError("this board is of a network already (a factory reset makes it new: hold 10 s)")
        status = await self._ask_manager(manager_words.GetStatus(), manager_words.Status)
        if status.nodes > 1 or len(status.managers) > 1 or self._config.role in {"manager", "both"}:
            return Can.MANAGER
        return Can.NEW if self._config.role == "member" else Can.EITHER

    async def admit(self, node_id: NodeId) -> int:
        """It may join, by name. The join port."""
        await self._ask_manager(manager_words.Admit(node_id), manager_words.Done)
        status = await self._ask_manager(manager_words.GetStatus(), manager_words.Status)
        return read_place(status.join_at)[1]

    async def restart_node(self) -> None:
        """Returns once another one answers in its place."""
        await self.close()
        await asyncio.to_thread(end_peer, self._config.node)
        clock = asyncio.get_running_loop().time
        give_up_s = clock() + BACK_WITHIN_S
        while clock() < give_up_s:
            await asyncio.sleep(LOOK_S)
            try:
                async with NodeClient(self._config.node) as node:
                    await node.ask(GetStatus(), Status)
            except NodeError:
                continue
            return
        raise DoorError(f"the node did not come back within {BACK_WITHIN_S:.0f} s")

    async def _ask_manager(self, request: msgspec.Struct, kind: type[T]) -> T:
        try:
            return await asyncio.to_thread(ask, request, kind, self._config.socket)
        except ManagerError as error:
            raise DoorError(f"this board's manager is not ready: {error}") from None


def end_peer(path: Path) -> None:
    """The program that serves that socket, by SIGTERM; returns once it has ended. Raises DoorError."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as end:
            end.settimeout(END_WITHIN_S)
            end.connect(str(path))
            pid = _credentials.unpack(end.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _credentials.size))[0]
            process = os.pidfd_open(pid)  # it serves us just now, so the number is its own
        try:
            signal.pidfd_send_signal(process, signal.SIGTERM)
            ended, _, _ = select.select([process], [], [], END_WITHIN_S)
        finally:
            os.close(process)
    except OSError as error:
        raise DoorError(f"the node at '{path}' cannot be restarted: {error.strerror or error}") from None
    if not ended:
        raise DoorError(f"the node at '{path}' does not end within {END_WITHIN_S:.0f} s")
