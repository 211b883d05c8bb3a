"""From actual and wanted state to the changes between them; pure. New things come before old ones go, so what stays is
never without. The accepted outer sources are swapped in one step *before* endpoints move: with the old source still
accepted, a late packet would roam the endpoint back. Rules come first: no interface is up unguarded.

`take` is what a change does to a state: the doors' memory of the kernel, and in the tests the kernel itself.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from services.kernel.errors import WantedError
from services.kernel.model import (
    Address,
    AllowedIp,
    Change,
    Device,
    Drop,
    Element,
    Fact,
    Forwarding,
    Key,
    Link,
    LinkKind,
    Peer,
    Put,
    Route,
    Rule,
    Rules,
    State,
    Table,
    is_ours,
    known,
)

PUT_ORDER = (Rules, Link, Device, Forwarding, Address, Element, Peer, AllowedIp, Route, Rule)
OUTER = {Table.OUTER4, Table.OUTER6}


def want(facts: Iterable[Fact]) -> State:
    """The facts as a wanted state, once they agree with each other."""
    state: dict[Key, Fact] = {}
    for fact in facts:
        if state.setdefault(fact.key, fact) != fact:
            raise WantedError(f"both '{state[fact.key]}' and '{fact}' are wanted: ask for one of them")
    for fact in state.values():
        check(fact, state)
    return state


def check(fact: Fact, state: State) -> None:
    needed = needs(fact)
    if needed is not None and needed not in state:
        raise WantedError(f"'{fact}' is wanted without what it needs: add '{named(needed)}'")
    if isinstance(fact, Link) and not is_ours(fact.name):
        raise WantedError(f"interface '{fact.name}' is not ours: use sky0, sky-link or a wire's name")
    if isinstance(fact, Link) and (fact.kind is LinkKind.VXLAN) != (fact.vxlan is not None):
        raise WantedError(f"interface '{fact.name}' is {fact.kind}: give 'vxlan' for that kind, and only for it")
    if isinstance(fact, Link) and fact.kind is LinkKind.WIREGUARD and (Device, fact.name) not in state:
        raise WantedError(f"interface '{fact.name}' is wanted without its key: add 'Device {fact.name}'")


def needs(fact: Fact) -> Key | None:
    """The key of the fact that this one falls with."""
    match fact:
        case Device(name=name):
            return (Link, name)
        case AllowedIp(device=device, public_key=public_key):
            return (Peer, device, public_key)
        case Peer(device=device):
            return (Device, device)
        case Address(device=device) | Forwarding(device=device) | Route(device=device) if is_ours(device):
            return (Link, device)
        case Element():
            return (Rules,)
    return None


def named(key: Key) -> str:
    kind, *rest = key
    words = [part.hex() if isinstance(part, bytes) else str(part) for part in rest]
    return " ".join([getattr(kind, "__name__", str(kind)), *words])


def plan(actual: State, wanted: State) -> list[Change]:
    """The changes that lead from actual to wanted, in the order to make them. None, if all is as wanted."""
    rebuilt = [fact for fact in actual.values() if must_rebuild(fact, wanted)]
    left = dict(actual)
    for fact in rebuilt:
        forget(left, fact)
    puts = [Put(fact) for key, fact in wanted.items() if not is_settled(left.get(key), fact)]
    drops = [Drop(fact) for key, fact in left.items() if key not in wanted]
    return [*map(Drop, rebuilt), *in_order(puts, [drop for drop in drops if not falls_anyway(drop, left, wanted)])]


def amend(actual: State, put: Iterable[Fact], drop: Iterable[Fact]) -> list[Change]:
    """The changes for some facts alone, whatever else there is: the price does not grow with the state."""
    added = known(put)
    for fact in added.values():
        needed = needs(fact)
        if needed is not None and needed not in actual and needed not in added:
            raise WantedError(f"'{fact}' is wanted without what it needs: add '{named(needed)}'")
    puts = [Put(fact) for key, fact in added.items() if not is_settled(actual.get(key), fact)]
    return in_order(puts, [Drop(fact) for fact in known(drop).values() if is_there(fact, actual)])


def renew(actual: State, peer: Peer) -> list[Change]:
    """Takes a peer away and puts it back with all it has: WireGuard then forgets how late the peer's clock once was."""
    allowed = [fact for fact in actual.values() if isinstance(fact, AllowedIp) and needs(fact) == peer.key]
    return [Drop(peer), Put(peer), *map(Put, allowed)]


def must_rebuild(fact: Fact, wanted: State) -> bool:
    new = wanted.get(fact.key)
    if not isinstance(fact, Link) or not isinstance(new, Link):
        return False
    if fact.kind is not new.kind:
        return True
    return fact.vxlan != new.vxlan


def is_settled(have: Fact | None, new: Fact) -> bool:
    if isinstance(new, Peer) and isinstance(have, Peer) and new.endpoint is None:
        return have.keepalive_s == new.keepalive_s
    return have == new


def is_there(fact: Fact, actual: State) -> bool:
    """By key; but an allowed IP that another peer has meanwhile is not the one to drop."""
    have = actual.get(fact.key)
    return have == fact if isinstance(fact, AllowedIp) else have is not None


def falls_anyway(drop: Drop, actual: State, wanted: State) -> bool:
    """Whether a fact goes with its peer or interface: dropping it by itself would be work for nothing."""
    needed = needs(drop.fact)
    while needed is not None and needed in actual:
        if needed not in wanted and needed[0] is not Device:
            return True
        needed = needs(actual[needed])
    return False


def in_order(puts: list[Put], drops: list[Drop]) -> list[Change]:
    swapped = [drop for drop in drops if is_outer(drop)]
    kept = [drop for drop in drops if not is_outer(drop) and not isinstance(drop.fact, Device)]
    first: list[Change] = [*puts, *swapped]
    return [*sorted(first, key=place), *sorted(kept, key=place, reverse=True)]


def is_outer(change: Change) -> bool:
    return isinstance(change.fact, Element) and change.fact.table in OUTER


def place(change: Change) -> tuple[int, bytes]:
    """Sorting by peer too puts all of a peer's networks side by side: one message adds them."""
    fact = change.fact
    return PUT_ORDER.index(type(fact)), fact.public_key if isinstance(fact, AllowedIp) else b""


def take(state: dict[Key, Fact], change: Change) -> None:
    """Changes the state as the kernel is changed by it."""
    if isinstance(change, Drop):
        forget(state, change.fact)
        return
    fact, have = change.fact, state.get(change.fact.key)
    if isinstance(fact, Peer) and isinstance(have, Peer) and fact.endpoint is None:
        fact = replace(fact, endpoint=have.endpoint)
    state[fact.key] = fact


def forget(state: dict[Key, Fact], fact: Fact) -> None:
    state.pop(fact.key, None)
    if isinstance(fact, Link | Device | Peer | Rules):
        for other in [other for other in state.values() if needs(other) == fact.key]:
            forget(state, other)
