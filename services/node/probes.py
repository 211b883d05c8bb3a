"""Asks other nodes whether they are there, and answers those that ask: the door to the probe socket, one for all
addresses of this node. Packets from unknown addresses, with a false seal or too many are dropped and counted.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import os
import secrets
import socket
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv6Address

from services.keys import Identity, NodeId, shared_key
from services.manager.limits import Limits
from services.node.errors import ProbeLostError
from services.node.probe_wire import LARGEST, NUMBER_BYTES, Kind, Pair, Probe, answer, is_sealed, parse, question
from services.secrecy import Secret

log = logging.getLogger(__name__)

PER_S, BURST = 40.0, 80
"""Questions that are answered, of each address."""

NOTE_BYTES = 16
"""The most that is read of a note; it does not begin with zeros alone."""

AT_ONCE = 64
"""Packets that are read before others of the loop have their turn."""

_PACKET_INFO = struct.Struct("=16sI")
_NOT_NOW = {errno.EAGAIN, errno.ENOBUFS, errno.EINTR}


@dataclass(slots=True)
class Counts:
    """`unanswered`: questions over the cap. `late`: answers to what is no longer waited for, or never was asked."""

    answered: int = 0
    malformed: int = 0
    unknown: int = 0
    forged: int = 0
    unanswered: int = 0
    late: int = 0


@dataclass(frozen=True, slots=True)
class _Waiting:
    to: IPv6Address
    pair: Pair
    done: asyncio.Future[float]
    asked_s: float


class Prober:
    def __init__(self, identity: Identity) -> None:
        self._identity = identity
        self._known: dict[IPv6Address, NodeId] = {}
        self._keys: dict[NodeId, Secret] = {}
        self._waiting: dict[bytes, _Waiting] = {}
        self._limits = Limits(PER_S, BURST, most=4096)
        self._knowers: dict[IPv6Address, set[str]] = {}
        self._asked_s: dict[IPv6Address, float] = {}
        self._socket: socket.socket | None = None
        self._port = 0
        self.counts = Counts()
        self.on_note: Callable[[NodeId, IPv6Address, bytes], None] | None = None
        """Who wrote, from where, and what; each time it is asked with a note."""

    async def start(self, port: int) -> None:
        """Port 0 takes a free one, for tests. Raises OSError."""
        end = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        try:
            end.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            end.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
            end.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_DONTFRAG, 1)  # what does not fit is lost, as data is
            end.bind(("::", port))
        except OSError:
            end.close()
            raise
        self._socket, self._port = end, end.getsockname()[1]
        asyncio.get_running_loop().add_reader(end, self._read)

    async def close(self) -> None:
        if self._socket is not None:
            asyncio.get_running_loop().remove_reader(self._socket)
            self._socket.close()
            self._socket = None
        for waiting in self._waiting.values():
            if not waiting.done.done():
                waiting.done.set_exception(ProbeLostError("this node stops"))

    @property
    def port(self) -> int:
        return self._port

    def know(self, address: IPv6Address, node_id: NodeId, by: str = "") -> None:
        """From now on that node is asked at this address and answered to it, until all who say so `forget`. Raises
        NodeIdError.
        """
        if node_id not in self._keys:
            self._keys[node_id] = shared_key(self._identity, node_id)
        before = self._known.get(address)
        self._known[address] = node_id
        if before is not None and before != node_id:
            self._forget_key(before)
            self._knowers[address] = set()
        self._knowers.setdefault(address, set()).add(by)

    def forget(self, address: IPv6Address, by: str = "") -> None:
        knowers = self._knowers.get(address, set())
        knowers.discard(by)
        if knowers or address not in self._known:
            return
        del self._knowers[address]
        self._asked_s.pop(address, None)
        self._forget_key(self._known.pop(address))

    def last_asked_s(self, address: IPv6Address) -> float | None:
        """When (monotonic) it last asked from there and was answered."""
        return self._asked_s.get(address)

    def _forget_key(self, node_id: NodeId) -> None:
        if node_id not in self._known.values():
            del self._keys[node_id]

    async def probe(
        self,
        to: IPv6Address,
        *,
        source: IPv6Address | None = None,
        size: int = 0,
        note: bytes = b"",
        within_s: float,
        port: int | None = None,
    ) -> float:
        """The round trip in seconds. The packet is `size` bytes long, headers included, and so is its answer; `note` is
        for the other end to read.

        Raises ProbeLostError; that the kernel has no way there is a loss like another.
        """
        node_id = self._known.get(to)
        if node_id is None or self._socket is None:
            raise ProbeLostError(f"'{to}' cannot be asked: nobody is known there")
        pair, number = self._pair(node_id, asks=True), secrets.token_bytes(NUMBER_BYTES)
        data = question(pair, number, to, size, note)
        done: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        self._waiting[number] = _Waiting(to, pair, done, time.perf_counter())
        try:
            self._send(data, to, port or self._port, source)
            async with asyncio.timeout(within_s):
                return await done
        except TimeoutError:
            raise ProbeLostError(f"no answer from '{to}' within {within_s:g} s") from None
        except OSError as error:
            raise ProbeLostError(f"no way to '{to}': {os.strerror(error.errno or 0)}") from None
        finally:
            del self._waiting[number]

    def _pair(self, node_id: NodeId, *, asks: bool) -> Pair:
        me = self._identity.node_id
        return Pair(me if asks else node_id, node_id if asks else me, self._keys[node_id])

    def _send(self, data: bytes, to: IPv6Address, port: int, source: IPv6Address | None) -> None:
        assert self._socket is not None
        info = []
        if source is not None:
            packed = _PACKET_INFO.pack(source.packed, 0)
            info = [(socket.IPPROTO_IPV6, socket.IPV6_PKTINFO, packed)]
        self._socket.sendmsg([data], info, 0, (str(to), port))

    # what comes in

    def _read(self) -> None:
        for _ in range(AT_ONCE):
            if self._socket is None:
                return
            try:
                data, info, _, name = self._socket.recvmsg(LARGEST + 1, socket.CMSG_SPACE(_PACKET_INFO.size))
            except OSError as error:
                if error.errno not in _NOT_NOW:
                    log.info("the probe socket says: %s", error)  # such as a neighbour's "port unreachable"
                return
            here = next((IPv6Address(_PACKET_INFO.unpack(value)[0]) for _, kind, value in info if _is_info(kind)), None)
            if here is not None:
                self._take(data, IPv6Address(name[0].partition("%")[0]), name[1], here)

    def _take(self, data: bytes, source: IPv6Address, port: int, here: IPv6Address) -> None:
        probe = parse(data)
        if probe is None:
            self.counts.malformed += 1
        elif probe.kind is Kind.QUESTION:
            self._answer(probe, source, port, here)
        else:
            self._end(probe, source)

    def _answer(self, probe: Probe, source: IPv6Address, port: int, here: IPv6Address) -> None:
        node_id = self._known.get(source)
        if node_id is None:
            self.counts.unknown += 1
        elif not self._limits.allows(str(source), time.monotonic()):
            self.counts.unanswered += 1
        elif not is_sealed(pair := self._pair(node_id, asks=False), probe, here):
            self.counts.forged += 1
        else:
            self.counts.answered += 1
            self._asked_s[source] = time.monotonic()
            if self.on_note is not None and any(probe.filling[:NOTE_BYTES]):
                self.on_note(node_id, source, probe.filling[:NOTE_BYTES])
            with contextlib.suppress(OSError):  # a way that is gone is what the asker wants to find out
                self._send(answer(pair, probe, here), source, port, here)

    def _end(self, probe: Probe, source: IPv6Address) -> None:
        waiting = self._waiting.get(probe.number)
        if waiting is None:
            self.counts.late += 1
        elif source != waiting.to or not is_sealed(waiting.pair, probe, waiting.to):
            self.counts.forged += 1
        elif not waiting.done.done():
            waiting.done.set_result(time.perf_counter() - waiting.asked_s)


def _is_info(kind: int) -> bool:
    return kind == socket.IPV6_PKTINFO
