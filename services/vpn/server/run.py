"""The server, put together: its life from the first look at the kernel to the last thing taken out of it."""

from __future__ import annotations

import asyncio
import logging
from contextlib import AsyncExitStack

from services.app.alone import alone
from services.app.presence import Presence
from services.app.program import serve
from services.app.refusals import Refusals
from services.keys import NodeId
from services.manager.ending import until_one_ends
from services.node.api_words import GetStatus as GetNodeStatus
from services.node.api_words import Publish
from services.node.api_words import Status as NodeStatus
from services.node.client import NodeClient
from services.node.errors import NodeAwayError
from services.node.kept import Kept
from services.vpn.errors import StartError
from services.vpn.server.api import Api
from services.vpn.server.api_words import Answer, Clients, ClientState, GetClients, Request, Status
from services.vpn.server.carriers import Carriers
from services.vpn.server.config import Config
from services.vpn.server.control import Control
from services.vpn.server.exit import Exit
from services.vpn.server.forwarding import Switches
from services.vpn.server.kernel import Kernel
from services.vpn.words import SERVICE
from viscript.notify import notify
from viscript.signal import SignalClient

log = logging.getLogger(__name__)

NODE_WITHIN_S, NODE_AGAIN_S = 60.0, 0.5
TELL_S = 2.0
BACK_AGAIN_S = 3.0
NAMED_IN = "vpn-server.yaml"


async def run(config: Config) -> None:
    """Until it is told to end. Raises VpnError, NodeError, KernelError, AppError."""
    with alone(config.ram, "a VPN server", StartError):
        await serve(lambda signal: Server(config).work(signal))


class Server:
    """Its parts, put together; nothing of it is asked by others."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._refusals = Refusals(log)
        ram = Kept(config.ram, named_in=NAMED_IN)
        self._ram, self._card = ram, Kept(config.card, durable=True, named_in=NAMED_IN)
        self._kernel, self._carriers = Kernel(Switches(ram)), Carriers(config.node)
        wanted = Publish(SERVICE, config.port, config.open_to, labels=config.labels)
        self._presence = Presence(wanted, config.node)
        self._exit: Exit | None = None

    async def work(self, signal: SignalClient) -> None:
        async with AsyncExitStack() as undo:
            await self._kernel.start()
            undo.push_async_callback(self._kernel.close)
            undo.push_async_callback(self._carriers.close)
            me = await own_id(self._config)
            way_out = self._exit = Exit(self._config, me, self._kernel, self._carriers, self._ram, self._card)
            await way_out.start()
            undo.push_async_callback(way_out.stop)
            api = Api(self._config.socket, self._answer)
            await api.start()
            undo.push_async_callback(api.close)
            await undo.enter_async_context(self._presence)
            address = await self._presence.wait_address(NODE_WITHIN_S)
            control = Control(way_out, self._config.clients, self._refusals)
            await control.start(address, self._config.port)
            undo.push_async_callback(control.close, "the server stops", BACK_AGAIN_S)
            notify("READY=1")
            parts = (way_out.run(), self._carriers.run(), self._tell(signal))
            await until_one_ends([asyncio.ensure_future(part) for part in parts])

    async def _tell(self, signal: SignalClient) -> None:
        while True:
            if (line := self._summary()) != signal.status:
                signal.status = line
            await asyncio.sleep(TELL_S)

    def _trouble(self) -> str:
        if self._exit is None:
            return "it starts"
        return self._presence.trouble or self._exit.trouble

    def _summary(self) -> str:
        if self._exit is None or (trouble := self._trouble()):
            return f"lets NOBODY out: {self._trouble()}"
        count = len(self._exit.served)
        clients = "1 client" if count == 1 else f"{count} clients"
        six = "" if self._exit.has_ipv6 else ", no IPv6"
        return f"lets {clients} out by {self._exit.uplink.told}{six}{trouble}"

    # questions

    async def _answer(self, request: Request) -> Answer:
        assert self._exit is not None
        if isinstance(request, GetClients):
            return await self._clients(self._exit)
        found = await self._kernel.read()
        return Status(
            not self._trouble(),
            self._summary(),
            str(self._presence.address or ""),
            self._config.port,
            tuple(dict.fromkeys((*self._exit.uplink.devices4, *self._exit.uplink.devices6))),
            self._exit.has_ipv6,
            tuple(map(str, self._exit.resolvers)),
            tuple(map(str, self._exit.pools)),
            len(self._exit.served),
            {name: packets for name, (packets, _) in found.counters.items()},
            dict(self._refusals.counts),
        )

    async def _clients(self, way_out: Exit) -> Clients:
        found = await self._kernel.read()
        return Clients(
            tuple(
                ClientState(
                    node_id,
                    str(one.lease.ipv4),
                    str(one.ipv6) if one.ipv6 is not None else None,
                    one.mtu,
                    one.since_unix_s,
                    found.sent.get(one.lease.number, (0, 0))[1],
                    found.received.get(one.lease.number, (0, 0))[1],
                    found.used.get(one.lease.number),
                )
                for node_id, one in way_out.served.items()
            )
        )


async def own_id(config: Config) -> NodeId:
    """This machine's node, which may be just starting. Raises StartError, NodeError."""
    try:
        async with asyncio.timeout(NODE_WITHIN_S):
            while True:
                try:
                    async with NodeClient(config.node) as node:
                        return (await node.ask(GetNodeStatus(), NodeStatus)).node_id
                except NodeAwayError as error:
                    away = error
                    await asyncio.sleep(NODE_AGAIN_S)
    except TimeoutError:
        raise StartError(str(away)) from None
