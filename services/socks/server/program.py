"""`meshnet-socks-server run`: publishes itself, listens at the session address, and serves until it is told to end."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from ipaddress import ip_address

from services.app.presence import Presence
from services.app.refusals import Refusals
from services.node.api_words import Publish
from services.socks.errors import StartError
from services.socks.model import Credentials
from services.socks.policy import Policy
from services.socks.room.front import Door, Terms, listen
from services.socks.room.ground import Ground, make_ground
from services.socks.room.loop import Room
from services.socks.room.names import Names
from services.socks.server.config import PIPELINED, SERVICE, UDP_SERVICE, Config
from services.socks.server.datagrams import Datagrams, bind
from services.socks.server.exits import Exits
from services.socks.server.users import Users, read_credentials
from services.socks.wire.socks5 import VERSION, ServerTalk
from viscript.notify import notify
from viscript.signal import SignalClient

TOLD_EACH_S = 5.0
PUBLISHED_WITHIN_S = 3600.0

log = logging.getLogger(__name__)


def show(signal: SignalClient, ground: Ground) -> None:
    """Figures for whoever asks for the program's report."""
    signal.add_field("connections", lambda: ground.clients.connections)
    signal.add_field("clients", lambda: len(ground.clients))
    signal.add_field("moved_bytes", lambda: ground.relay.bytes_moved)
    signal.add_field("pipes_held", lambda: ground.relay.pipes.out)


def read_listen(text: str) -> tuple[str, int]:
    """`address:port` of this machine's loopback: anything else is open to whoever reaches it. Raises StartError."""
    host, port = read_place(text)
    if not ip_address(host).is_loopback:
        raise StartError(f"'{text}' is not of this machine's loopback: leave it out to use the mesh")
    return host, port


def read_place(text: str) -> tuple[str, int]:
    """Raises StartError."""
    host, _, port = text.rpartition(":")
    try:
        address = ip_address(host.removeprefix("[").removesuffix("]"))
        number = int(port)
    except ValueError:
        raise StartError(f"'{text}' is not address:port, such as 127.0.0.1:1080") from None
    if not 0 <= number < 65536:
        raise StartError(f"port {number} is not from 0 to 65535")
    return str(address), number


async def serve(room: Room, config: Config, listening: str | None, signal: SignalClient) -> None:
    """`listening`: an address of loopback, and then the mesh has no part in it. Raises StartError, UsersError."""
    users = None if config.users is None else Users(read_credentials(config.users))
    ground = make_ground(room, config.limits, config.idle_s, config.half_closed_s)
    async with contextlib.AsyncExitStack() as stack:
        stack.callback(ground.relay.close)
        if listening is None:
            host, presence = await _publish(config, signal, stack)
            port = config.port
        else:
            (host, port), presence = read_listen(listening), None
        where = _open(ground, config, users, host, port, stack)
        show(signal, ground)
        log.info("SOCKS5 at %s, for up to %d connections", where, ground.most)
        notify("READY=1")
        while True:
            trouble = presence.trouble if presence is not None else ""
            signal.status = f"{ground.told()}; {trouble or f'serves at {where}'}"
            await asyncio.sleep(TOLD_EACH_S)


async def _publish(config: Config, signal: SignalClient, stack: contextlib.AsyncExitStack) -> tuple[str, Presence]:
    signal.status = "waits for the node"
    labels = tuple(dict.fromkeys((*config.labels, PIPELINED)))
    wanted = [Publish(SERVICE, config.port, config.open_to, "tcp", labels)]
    if config.udp:
        wanted.append(Publish(UDP_SERVICE, config.port, config.open_to, "udp"))
    presences = [await stack.enter_async_context(Presence(one, config.node)) for one in wanted]
    notify("READY=1")
    return str(await presences[0].wait_address(PUBLISHED_WITHIN_S)), presences[0]


def _open(
    ground: Ground, config: Config, users: Users | None, host: str, port: int, stack: contextlib.AsyncExitStack
) -> str:
    """Where it serves from now on. Raises StartError."""
    room, refusals, names = ground.room, Refusals(log), Names(ground.room)
    stack.callback(names.close)
    exits = Exits(room, names, Policy(config.allow, config.deny), refusals, config.connect_s, config.idle_s)
    terms = Terms(
        *(room, ground.relay, ground.clients, refusals, config.handshake_s),
        make_talk=lambda first: ServerTalk(users is not None) if first[0] == VERSION else None,
        is_user=users.holds if users is not None else _anybody,
        may_enter=lambda _client: True,
        serve=exits.serve,
    )
    try:
        listening = listen(host, port)
        host, port = listening.getsockname()[:2]
        stack.callback(Door(terms, listening).close)
        if config.udp:
            exits.datagrams = Datagrams(room, bind(host, port), names, exits.permits, refusals)
            stack.callback(exits.datagrams.close)
    except OSError as error:
        raise StartError(f"cannot listen at {host} port {port}: {error.strerror}") from None
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _anybody(_asked: Credentials) -> bool:
    return True
