"""The client: finds a server, goes through it for as long as it lives, and takes the next. Nothing that happens here
opens the kill switch; that takes a person's word.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, ip_address

from services.addresses import session_address
from services.app.choice import Choice, Server
from services.app.errors import AppError, NoServerError
from services.app.finding import find, reach
from services.app.refusals import Refusals
from services.errors import IdentityError
from services.kernel.errors import KernelError
from services.keys import NodeId, read_node_id
from services.node.api_words import Carried, Carry, Done, GetStatus, Uncarry
from services.node.api_words import Status as NodeStatus
from services.node.client import NodeClient
from services.node.errors import NodeError, NodeRefusedError
from services.vpn.client.api_words import Phase, PortalState, Status
from services.vpn.client.config import Config
from services.vpn.client.control import Control
from services.vpn.client.machine import Machine
from services.vpn.client.order import OUT_S, Order
from services.vpn.client.ways import EVERYTHING, MESH, SHARED, Lent
from services.vpn.errors import TunnelError, VpnError
from services.vpn.words import PORT, SERVICE, Leased

log = logging.getLogger(__name__)

NETWORKS = tuple(map(str, EVERYTHING))
LINGERS_S = 5.0
"""So long a killed client's packets still have their tunnel: another is there by then."""

MEND_S = 5.0
LEAST_IPV6_MTU = 1280
NEVER = (IPv4Network("0.0.0.0/8"), IPv4Network("127.0.0.0/8"))
UNCARRY_WITHIN_S = 3.0


class Client:
    def __init__(self, config: Config, machine: Machine, tell: Callable[[str], None]) -> None:
        """`tell` is given one sentence of how it is, whenever that changes."""
        self._config, self._machine, self._tell = config, machine, tell
        self._order = Order()
        self._refusals = Refusals(log)
        self._phase = Phase.SEARCHING
        self._server: Server | None = None
        self._lent: Lent | None = None
        self._trouble = ""
        self._changes = self._up_since_s = 0
        self._wants_off, self._is_off = asyncio.Event(), asyncio.Event()

    async def run(self, ready: Callable[[], None]) -> None:
        """Until it is cancelled, which leaves the kill switch on, or switched off. Raises KernelError, VpnError where
        the machine cannot be closed in.
        """
        await self._machine.close_in()
        ready()
        self._told()
        works: list[Coroutine[object, object, object]] = [self._rounds(), self._mend(), self._wants_off.wait()]
        tasks = [asyncio.ensure_future(work) for work in works]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._phase = Phase.STOPPING
            await self._machine.leave()
            await self._end()

    async def off(self) -> None:
        """Returns once everything is down, the kill switch too."""
        self._wants_off.set()
        await self._is_off.wait()

    async def status(self) -> Status:
        switch = await self._machine.kill_switch()
        lent, server = self._lent, self._server
        return Status(
            phase=self._phase,
            summary=self._summary(),
            kill_switch=switch.is_on,
            blocked=switch.blocked,
            portals=tuple(PortalState(one.gid, one.left_s) for one in switch.portals),
            server=server.node_id if server else "",
            labels=server.labels if server else (),
            ipv4=str(lent.ipv4) if lent else "",
            ipv6=str(lent.ipv6) if lent and lent.ipv6 else "",
            dns=tuple(map(str, lent.dns)) if lent else (),
            mtu=lent.mtu if lent else 0,
            up_since_unix_s=self._up_since_s,
            changes=self._changes,
            trouble=self._trouble,
        )

    # the life of a client

    async def _end(self) -> None:
        if self._wants_off.is_set():
            await self._machine.open_up()
            self._is_off.set()
            log.info("off: packets go as if there were no VPN")
        elif self._config.kill_switch:
            log.warning("ended; the kill switch stays ON, nothing leaves this machine (run: meshnet-vpn-client off)")

    async def _rounds(self) -> None:
        while True:
            try:
                was_up = await self._round()
            except (NodeError, AppError, KernelError, VpnError, OSError) as error:
                was_up = False
                self._note(type(error).__name__, str(error))
            if not was_up:
                await asyncio.sleep(self._order.pause_s())

    async def _round(self) -> bool:
        """Tries the servers in turn; whether one of them was a tunnel, which is no more."""
        async with NodeClient(self._config.node) as node:
            own = (await node.ask(GetStatus(), NodeStatus)).node_id
            servers = [one for one in await self._find(node) if one.node_id != own]
            if not servers:
                raise NoServerError("only this node itself offers it")
            changes = self._changes
            for server in self._order.sort(servers, time.monotonic()):
                try:
                    await self._go_through(node, server, own)
                except (TunnelError, NoServerError, NodeRefusedError) as error:
                    again_s, cause = None, type(error).__name__
                    if isinstance(error, TunnelError):
                        again_s, cause = error.again_s, error.cause
                    self._note(cause, f"server {server.node_id[:12]}: {error}")
                    self._order.failed(server, time.monotonic(), OUT_S if again_s is None else again_s)
                if self._changes > changes:
                    return True
        return False

    async def _find(self, node: NodeClient) -> Sequence[Server]:
        """Servers named by their ids need no directory."""
        choice = self._config.choice
        try:
            return await find(node, SERVICE, choice)
        except (NoServerError, NodeRefusedError):
            known = [] if choice.labels else _by_id(choice)
            if not known:
                raise
            return known

    async def _go_through(self, node: NodeClient, server: Server, own: NodeId) -> None:
        """Returns when the node went away. Raises TunnelError, NoServerError, NodeRefusedError, for the server."""
        connected = await reach(node, server, self._config.choice.policy)
        avoid = await self._machine.to_avoid()
        async with (
            Control(connected.address, connected.port or server.port) as control,
            NodeClient(self._config.node) as carrier,
        ):
            leased = await control.lease(own, map(str, avoid))
            carry = Carry(
                server.node_id, NETWORKS, gateways=tuple(map(str, self._config.gateways)), lingers_s=LINGERS_S
            )
            carried = await carrier.ask(carry, Carried)
            try:
                lent = lent_of(leased, min(leased.mtu, carried.mtu), avoid)
                await self._machine.enter(lent)
                self._came_up(server, lent)
                await self._hold(control, carrier)
            finally:
                self._went_down()
                await _uncarry(carrier, server.node_id)

    async def _hold(self, control: Control, carrier: NodeClient) -> None:
        holds: list[Awaitable[None]] = [control.hold(), carrier.wait_gone(), self._watch_uplink()]
        tasks = [asyncio.ensure_future(hold) for hold in holds]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        for task in done:
            task.result()
        self._note("node", "the node went away")

    async def _mend(self) -> None:
        while True:
            await asyncio.sleep(MEND_S)
            try:
                await self._machine.mend()
            except (KernelError, VpnError, NodeError, OSError) as error:
                self._note(type(error).__name__, str(error))

    async def _watch_uplink(self) -> None:
        """An interface that gets another address may be in a network where the lease is."""
        while True:
            await asyncio.sleep(MEND_S)
            avoid = await self._machine.to_avoid()
            if self._lent and any(self._lent.ipv4 in network for network in avoid):
                raise TunnelError(
                    "a network of this machine's own uses the lease's addresses now: asking for others", 0
                )

    # how it is

    def _came_up(self, server: Server, lent: Lent) -> None:
        self._phase, self._server, self._lent, self._trouble = Phase.UP, server, lent, ""
        self._changes += 1
        self._up_since_s = int(time.time())
        self._order.worked(server)
        log.info("%s", self._summary())
        self._told()

    def _went_down(self) -> None:
        self._phase, self._server, self._lent, self._up_since_s = Phase.SEARCHING, None, None, 0
        self._told()

    def _note(self, cause: str, trouble: str) -> None:
        """`cause` is of our own words: what servers say varies without end."""
        self._trouble = trouble
        self._refusals.note(cause, f"no tunnel: {trouble}")
        self._told()

    def _told(self) -> None:
        self._tell(self._summary())

    def _summary(self) -> str:
        if self._phase is Phase.UP and self._server and self._lent:
            labels = f" ({', '.join(self._server.labels)})" if self._server.labels else ""
            six = f" and {self._lent.ipv6}" if self._lent.ipv6 else ", no IPv6"
            return f"out by {self._server.node_id[:12]}{labels} as {self._lent.ipv4}{six}"
        held = "the kill switch holds everything" if self._machine.is_closed else "the kill switch is OFF"
        if self._phase is Phase.STOPPING:
            return f"stopping; {held}"
        return f"no tunnel, {held}: {self._trouble or 'looking for a server'}"


def lent_of(leased: Leased, mtu: int, avoid: Iterable[IPv4Network] = ()) -> Lent:
    """Raises TunnelError where a server lends what is not its to lend: an address of the world's, of the mesh, or of
    this machine's own networks.
    """
    ipv4 = IPv4Address(leased.ipv4)
    ipv6 = IPv6Address(leased.ipv6) if leased.ipv6 and mtu >= LEAST_IPV6_MTU else None
    dns = tuple(map(ip_address, leased.dns))
    if not (ipv4 in SHARED or ipv4.is_private) or (ipv6 and (not ipv6.is_private or any(ipv6 in one for one in MESH))):
        raise TunnelError(f"the server lends '{leased.ipv4}' and '{leased.ipv6}', which are not private addresses")
    own = (*avoid, *NEVER)
    wrong = [one for one in (ipv4, *dns) if isinstance(one, IPv4Address) and any(one in network for network in own)]
    if wrong:
        raise TunnelError(f"the server lends '{wrong[0]}', which is of this machine's own networks")
    return Lent(ipv4, ipv6, dns, mtu)


def _by_id(choice: Choice) -> list[Server]:
    found = []
    for name in choice.servers:
        try:
            node_id = read_node_id(name)
        except IdentityError:
            continue
        found.append(Server(node_id, SERVICE, str(session_address(node_id)), PORT))
    return found


async def _uncarry(carrier: NodeClient, server: NodeId) -> None:
    """At once, or the next server could not have the same networks until it has lingered."""
    try:
        await carrier.ask(Uncarry(server, NETWORKS), Done, UNCARRY_WITHIN_S)
    except (NodeError, OSError) as error:
        log.debug("not taken back: %s", error)
