"""Joins the doors: reads what this machine has, and brings it to what is wanted. What was read once is remembered and
kept up with every change; after a failure it is read again, since nobody knows then how far the kernel got.

All calls of one `Machine`, making it included, belong to one thread that runs no event loop; they block for as long as
the kernel takes. It belongs to the network namespace it was made in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import groupby

from services.kernel import sysctl, wireguard_go
from services.kernel.errors import AbsentError, DoorError
from services.kernel.fib import Fib
from services.kernel.meter import Pair
from services.kernel.model import (
    SESSIONS,
    Address,
    AllowedIp,
    Change,
    Count,
    Device,
    Element,
    Fact,
    Failure,
    Forwarding,
    Key,
    Link,
    LinkKind,
    Peer,
    Put,
    Report,
    Route,
    Rule,
    Rules,
    State,
    Traffic,
    known,
)
from services.kernel.netlink import Netlink
from services.kernel.nft import Nft
from services.kernel.plan import amend, plan, renew, take
from services.kernel.tunnels import Tunnels, drop_allowed
from services.kernel.uapi import Uapi
from services.kernel.wireguard import WireGuard

SESSION_BURST = 56_000
"""wireguard-go turns what TCP hands it at once into one datagram for the kernel to cut, as long as the tunnel below
still fits into 65,535 bytes; a longer one is cut before it enters the wire, and each relay then works packet by packet
(a session over two wires: 1,800 Mbit/s with this, 830 without)."""
SPLITS = 64  # failed halves of one batch that are halved again to find what is wrong in it


class Machine:
    def __init__(self, netlink: Netlink, fib: Fib, tunnels: Tunnels, nft: Nft) -> None:
        self._netlink, self._fib, self._tunnels, self._nft = netlink, fib, tunnels, nft
        self._known: dict[Key, Fact] | None = None

    @classmethod
    def open(cls) -> Machine:
        netlink = Netlink()
        return cls(netlink, Fib(), pick_tunnels(netlink), Nft())

    def close(self) -> None:
        for door in (self._tunnels, self._netlink, self._fib, self._nft):
            door.close()

    @property
    def state(self) -> State:
        """What there is, as far as known; do not change it."""
        return self._state()

    def read(self) -> State:
        """Asks the kernel for everything anew."""
        self._known = known(self._found())
        return self._known

    def bring(self, wanted: State) -> Report:
        """Makes everything of ours as wanted (`plan.want`). What failed is tried again by the next call."""
        return self.apply(plan(self._state(), wanted))

    def amend(self, put: Iterable[Fact] = (), drop: Iterable[Fact] = ()) -> Report:
        """Adds and removes some facts; the rest of the state costs nothing and stays."""
        return self.apply(amend(self._state(), put, drop))

    def renew(self, peer: Peer) -> Report:
        """Removes the peer and adds it again with its networks."""
        return self.apply(renew(self._state(), peer))

    def apply(self, changes: Iterable[Change]) -> Report:
        state = self._state()
        done: list[Change] = []
        failed: list[Failure] = []
        for door, batch in groupby(changes, _door):
            for change, reason in self._go(door, list(batch)):
                if reason is None:
                    take(state, change)
                    done.append(change)
                else:
                    failed.append(Failure(change, reason))
        if failed:
            self._known = None
        return Report(tuple(done), tuple(failed))

    # reading

    def counters(self) -> dict[Pair, Count]:
        """(device, source, destination) → what was forwarded, of every label here."""
        return self._nft.counters()

    def refusals(self) -> dict[str, Count]:
        return self._nft.refusals()

    def find_flaw(self) -> str:
        """What is known to be wrong with this machine's WireGuard, or nothing."""
        return wireguard_go.find_flaw() if isinstance(self._tunnels, Uapi) else ""

    def traffic(self, device: str) -> list[Traffic]:
        return self._tunnels.traffic(device)

    def _state(self) -> dict[Key, Fact]:
        if self._known is None:
            self.read()
        assert self._known is not None
        return self._known

    def _found(self) -> Iterator[Fact]:
        for link in self._netlink.links():
            tunnel = link.kind is not LinkKind.VXLAN and self._tunnels.has(link.name)
            yield replace(link, kind=LinkKind.WIREGUARD) if tunnel else link
            if tunnel:
                yield from self._tunnels.read(link.name)
            if sysctl.forwards(link.name):
                yield Forwarding(link.name)
        yield from self._netlink.addresses()
        yield from self._netlink.rules()
        yield from self._fib.read()
        yield from self._nft.read()

    # changing

    def _go(self, door: tuple[object, ...], batch: list[Change]) -> Iterator[tuple[Change, str | None]]:
        if door[0] is Route:
            return zip(batch, self._fib.change(batch), strict=True)
        return _tried(partial(self._together, door), batch, [SPLITS])

    def _together(self, door: tuple[object, ...], batch: Sequence[Change]) -> None:
        if door[0] is Element:
            self._nft.change(batch)
        elif door[0] is AllowedIp:
            self._allowed(batch)
        else:
            for change in batch:
                self._put(change.fact) if isinstance(change, Put) else self._drop(change.fact)

    def _allowed(self, batch: Sequence[Change]) -> None:
        facts = [change.fact for change in batch if isinstance(change.fact, AllowedIp)]
        networks, first = [fact.network for fact in facts], facts[0]
        if isinstance(batch[0], Put):
            self._tunnels.put_allowed(first.device, first.public_key, networks)
        else:
            drop_allowed(self._tunnels, first.device, networks)

    def _put(self, fact: Fact) -> None:
        match fact:
            case Rules():
                self._nft.put_rules(fact)
            case Link():
                self._put_link(fact)
            case Device():
                self._tunnels.put_device(fact)
            case Forwarding():
                sysctl.forward(fact.device, on=True)
            case Address():
                self._netlink.put_address(fact)
            case Peer():
                self._tunnels.put_peer(fact)
            case Rule():
                self._netlink.put_rule(fact)

    def _drop(self, fact: Fact) -> None:
        match fact:
            case Rules():
                self._nft.drop_rules()
            case Link():
                self._netlink.drop_link(fact.name)
            case Forwarding():
                sysctl.forward(fact.device, on=False)
            case Address():
                self._netlink.drop_address(fact)
            case Peer():
                self._tunnels.drop_peer(fact.device, fact.public_key)
            case Rule():
                self._netlink.drop_rule(fact)

    def _put_link(self, link: Link) -> None:
        if not self._netlink.has_link(link.name):
            if link.vxlan is not None:
                self._netlink.add_vxlan(link.name, link.vxlan)
            else:
                self._tunnels.create(link.name)
            sysctl.forward(link.name, on=False)  # a new interface takes it from where it is on for all
        sysctl.give_no_address(link.name)
        self._netlink.bring_up(link.name, link.mtu, SESSION_BURST if link.name == SESSIONS else None)


def pick_tunnels(netlink: Netlink) -> Tunnels:
    try:
        return WireGuard(netlink)
    except DoorError:
        return Uapi()


def _door(change: Change) -> tuple[object, ...]:
    """Neighbours with the same answer are done together."""
    match change.fact:
        case Element():
            return (Element,)
        case Route():
            return (Route,)
        case AllowedIp(device=device, public_key=public_key):
            return (AllowedIp, type(change), device, public_key if isinstance(change, Put) else b"")
    return (id(change),)


def _tried(
    act: Callable[[Sequence[Change]], None], batch: list[Change], splits: list[int]
) -> Iterator[tuple[Change, str | None]]:
    """Does all at once; if that fails, each half by itself, so that one bad change does not take others with it."""
    try:
        act(batch)
    except DoorError as error:
        splits[0] -= 1
        if isinstance(error, AbsentError) and len(batch) == 1 and not isinstance(batch[0], Put):
            yield batch[0], None  # gone already
            return
        if len(batch) == 1 or splits[0] < 0:
            yield from ((change, str(error)) for change in batch)
            return
        middle = len(batch) // 2
        yield from _tried(act, batch[:middle], splits)
        yield from _tried(act, batch[middle:], splits)
    else:
        yield from ((change, None) for change in batch)
