"""Lets other boards in: the API over TCP, for the operators' addresses and nobody else.

A caller is believed to be the address it comes from. That is as good as the network below: on the mesh a source
address is a public key, because WireGuard drops what does not fit the key it came with; on a plain network anybody
may forge it. So the address to listen on must be one of the mesh; every address at once is never listened on. A board
speaks for all its programs: which of them may reach the mesh is for that board's own firewall to say. Programs on this
board have the UNIX socket, whose file has an owner and a mode, and are refused here.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import sys
import time
from ipaddress import ip_address
from typing import TYPE_CHECKING

from viscript.api.model import Failure, Reply
from viscript.api.server import ApiServer, Caller
from viscript.api.wire import encode_line
from viscript.cluster.config import read_literal
from viscript.errors import ClusterError

if TYPE_CHECKING:
    from viscript.api.server import Answer
    from viscript.cluster.model import ClusterConfig
    from viscript.signal.model import Address

log = logging.getLogger(__name__)

IDLE_DEADLINE_S = 600.0
"""Seconds a board's connection may stay without a call; boards connect anew by themselves."""

BACKLOG = 64
MAX_REFUSALS = 16
"""Refused callers that are told why at one time; more are cut off without a word."""

MOST_READS = 16
REFUSAL_DEADLINE_S = 2.0
LOG_INTERVAL_S = 10.0
_IP_FREEBIND, _IPV6_FREEBIND = 15, 78


class ClusterServer:
    """Listens only when the configuration has an address and an operator."""

    def __init__(self, config: ClusterConfig, answer: Answer) -> None:
        self._config = config
        self._refusals = Refusals()
        self._api = ApiServer(
            answer, IDLE_DEADLINE_S, admit=self._find_objection, refuse=self._refusals.tell, from_boards=True
        )

    async def start(self) -> None:
        """Raises ClusterError."""
        listen = self._config.listen
        if listen is None or not self._config.operators:
            return
        await self._api.start(make_listener(listen))
        log.info("cluster: '%s' listens at %s", self._config.name, listen)
        if ip_address(listen.host).is_loopback:
            log.warning("cluster: %s is this machine's own: every program here can be every operator", listen)

    async def close(self) -> None:
        await self._api.close()
        await self._refusals.close()

    def _find_objection(self, caller: Caller) -> str:
        if self._config.listen is not None and caller.address == self._config.listen.host:
            return f"programs on board '{self._config.name}' use its socket file"
        address = read_literal(caller.address)
        if address is None or address not in self._config.operators:
            return f"{caller.address} may not command board '{self._config.name}' (it is not among its operators)"
        return ""


def make_listener(listen: Address) -> socket.socket:
    """A listening socket at one address, which need not be there yet: the mesh may come up after us. Raises
    ClusterError.
    """
    literal = read_literal(listen.host)
    if literal is None:
        raise ClusterError(f"will not listen at '{listen}': give this board's own address on the mesh")
    family = socket.AF_INET6 if literal.version == 6 else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if sys.platform == "linux":
            at = (socket.IPPROTO_IPV6, _IPV6_FREEBIND) if family == socket.AF_INET6 else (socket.SOL_IP, _IP_FREEBIND)
            listener.setsockopt(*at, 1)
        listener.bind((listen.host, listen.port))
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise ClusterError(f"cannot listen for boards at '{listen}': {error.strerror or error}") from error
    return listener


class Refusals:
    """Tells refused callers why in one line, and the log now and then."""

    def __init__(self) -> None:
        self._told: set[asyncio.Task[None]] = set()
        self._quiet_until = 0.0
        self._unlogged = 0

    def tell(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, reason: str) -> None:
        self._log(reason)
        if len(self._told) >= MAX_REFUSALS:
            writer.transport.abort()
            return
        task = asyncio.get_running_loop().create_task(_tell(reader, writer, reason))
        self._told.add(task)
        task.add_done_callback(self._told.discard)

    async def close(self) -> None:
        for task in self._told:
            task.cancel()
        await asyncio.gather(*self._told, return_exceptions=True)

    def _log(self, reason: str) -> None:
        now = time.monotonic()
        if now < self._quiet_until:
            self._unlogged += 1
            return
        log.warning("cluster: refused: %s (and %d callers before)", reason, self._unlogged)
        self._quiet_until, self._unlogged = now + LOG_INTERVAL_S, 0


async def _tell(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, reason: str) -> None:
    """One line, then wait a little for the caller to leave: closing on unread bytes would take the line back."""
    try:
        async with asyncio.timeout(REFUSAL_DEADLINE_S):
            writer.write(encode_line(Reply(0, error=Failure("refused", reason))))
            writer.write_eof()
            for _ in range(MOST_READS):
                if not await reader.read(65_536):
                    break
    except (TimeoutError, OSError):
        pass
    finally:
        writer.transport.abort()
