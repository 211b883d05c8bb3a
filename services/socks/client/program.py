"""`meshnet-socks-client run`: the proxy on this machine, until it is told to end."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections.abc import Callable
from ipaddress import ip_address

from services.app.choice import Server
from services.app.refusals import Refusals
from services.keys import NodeId
from services.socks.client.config import Config
from services.socks.client.forward import Forward, Way
from services.socks.client.keeper import Keeper
from services.socks.client.pool import Pool
from services.socks.errors import StartError
from services.socks.policy import Rule, Table
from services.socks.room.front import Door, Talk, Terms, listen
from services.socks.room.ground import Ground, make_ground
from services.socks.room.loop import Room
from services.socks.server.config import PIPELINED, SERVICE
from services.socks.server.program import TOLD_EACH_S, read_listen, read_place, show
from services.socks.server.users import read_credentials
from services.socks.wire.http import HttpTalk
from services.socks.wire.socks5 import VERSION, ServerTalk
from viscript.notify import notify
from viscript.signal import SignalClient

log = logging.getLogger(__name__)


async def serve(room: Room, config: Config, server: str | None, signal: SignalClient) -> None:
    """`server`: one on this machine's loopback, and then the mesh has no part in it. Raises StartError, UsersError."""
    host, port = read_place(config.listen)
    may_enter = _who_may(host, config.allow_from)
    ground = make_ground(room, config.limits, config.idle_s, config.half_closed_s)
    pool = Pool(config.choice, random.shuffle)
    async with contextlib.AsyncExitStack() as stack:
        stack.callback(ground.relay.close)
        keeper = Keeper(pool, config.choice, config.node, lambda: forward.go_on())  # noqa: PLW0108 (is made below)
        forward = Forward(_way(ground, config, pool, keeper, keeps=server is None))
        if server is not None:
            _take_only(pool, server)
        else:
            keeping = asyncio.ensure_future(keeper.run())
            stack.push_async_callback(_end, keeping)
        where = _open(ground, config, forward, (host, port), may_enter, stack)
        show(signal, ground)
        log.info("SOCKS5 and HTTP CONNECT at %s, for up to %d connections", where, ground.most)
        notify("READY=1")
        while True:
            ready = pool.told() + (f" ({keeper.trouble})" if keeper.trouble and server is None else "")
            signal.status = f"{ground.told()}; {ready}; listens at {where}"
            if server is None and keeping.done():
                keeping.result()
            await asyncio.sleep(TOLD_EACH_S)


def _way(ground: Ground, config: Config, pool: Pool, keeper: Keeper, *, keeps: bool) -> Way:
    credentials = None if config.credentials is None else read_credentials(config.credentials)[0]
    refusals = Refusals(log)
    return Way(
        *(ground.room, pool, refusals, credentials, config.server_s, config.reply_s, config.udp),
        keeps=keeps,
        want=keeper.want,
        trouble=lambda: keeper.trouble,
    )


def _who_may(host: str, allow_from: tuple[Rule, ...]) -> Callable[[str], bool]:
    """Raises StartError where everybody might."""
    if ip_address(host).is_loopback:
        return lambda _client: True
    if not allow_from:
        raise StartError(f"listen '{host}' is not of loopback: say who may use it (allow_from: [192.168.1.0/24])")
    table = Table(allow_from)
    return lambda client: table.holds(ip_address(client.partition("%")[0]), 0)


def _take_only(pool: Pool, server: str) -> None:
    host, port = read_listen(server)
    pool.take([Server(NodeId(server), SERVICE, host, port, (PIPELINED,))])
    pool.worked(pool.known[0])


def _open(
    ground: Ground,
    config: Config,
    forward: Forward,
    place: tuple[str, int],
    may_enter: Callable[[str], bool],
    stack: contextlib.AsyncExitStack,
) -> str:
    """Where it serves from now on. Raises StartError."""
    terms = Terms(
        *(ground.room, ground.relay, ground.clients, Refusals(log), config.handshake_s),
        make_talk=make_talk,
        is_user=lambda _asked: True,
        may_enter=may_enter,
        serve=forward.serve,
    )
    try:
        listening = listen(*place)
    except OSError as error:
        raise StartError(f"cannot listen at '{config.listen}': {error.strerror} (see `listen`)") from None
    stack.callback(Door(terms, listening).close)
    host, port = listening.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def make_talk(first: bytes) -> Talk | None:
    if first[0] == VERSION:
        return ServerTalk()
    return HttpTalk() if first[:1].isalpha() else None


async def _end(task: asyncio.Future[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
