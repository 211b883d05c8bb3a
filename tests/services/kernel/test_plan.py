"""The plan on states made at random: it leads where it should, at once, and what stays is never without."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, IPv6Interface, IPv6Network

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.kernel.errors import WantedError
from services.kernel.model import (
    FIRST_VNI,
    LINKS,
    SESSIONS,
    Address,
    AllowedIp,
    Device,
    Drop,
    Endpoint,
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
    Vxlan,
    outer,
    pair,
    wire_name,
)
from services.kernel.plan import amend, is_settled, must_rebuild, needs, plan, renew, take, want

EXAMPLES = 100
KEYS = [bytes([number]) * 32 for number in range(1, 4)]
ROUTES = [IPv6Address(f"fd52::{number}") for number in range(1, 6)]
NETWORKS = [IPv6Network(address) for address in ROUTES]
ENDS = [Endpoint(IPv4Address("10.0.0.1"), 1), Endpoint(IPv6Address("fd52::1"), 2), None]
WIRES = [wire_name(FIRST_VNI + 1)]
DEVICES = [LINKS, SESSIONS]


def wires(name: str, mtu: int, remote: int) -> Link:
    vxlan = Vxlan(int(name.removeprefix("sky-w"), 16), IPv4Address("10.0.0.9"), IPv4Address(remote))
    return Link(name, LinkKind.VXLAN, mtu, vxlan)


one_of = st.sampled_from


@st.composite
def tunnels(draw: st.DrawFn) -> list[Fact]:
    """The WireGuard interfaces with peers, each network with one of them."""
    found: list[Fact] = []
    for name in draw(st.sets(one_of(DEVICES), min_size=1)):
        found += [Link(name, LinkKind.WIREGUARD, draw(one_of([1400, 1420])), None, draw(st.booleans()))]
        found += [Device(name, draw(one_of(KEYS)), draw(one_of([1, 2])))]
        peers = draw(st.lists(one_of(KEYS), unique=True, min_size=1))
        found += [Peer(name, key, draw(one_of(ENDS)), draw(one_of([0, 25]))) for key in peers]
        owners = [(network, draw(one_of([*peers, None]))) for network in NETWORKS]
        found += [AllowedIp(name, network, key) for network, key in owners if key]
    return found


wired = st.builds(wires, one_of(WIRES), one_of([1400, 1450]), one_of([1, 2]))
places = [*DEVICES, *WIRES]
others = st.one_of(
    st.builds(Address, one_of([*places, "lo"]), one_of([IPv6Interface(address) for address in ROUTES])),
    st.builds(Forwarding, one_of(places)),
    st.builds(Route, one_of(NETWORKS), one_of([*places, "eth0"]), mtu=one_of([None, 1340])),
    st.builds(Rule, one_of([1, 2]), one_of([3, 4])),
    st.builds(outer, one_of(ROUTES)),
    st.builds(pair, one_of(DEVICES), one_of(ROUTES), one_of(ROUTES)),
)
tables = st.lists(st.builds(Rules, one_of(["a", "b"])), max_size=1)


def whole(*lists: list[Fact]) -> dict[Key, Fact]:
    """One fact of each key, without those that lack what they need."""
    state: dict[Key, Fact] = {fact.key: fact for facts in lists for fact in facts}
    while lacking := [key for key, fact in state.items() if (needed := needs(fact)) and needed not in state]:
        for key in lacking:
            del state[key]
    return state


states: st.SearchStrategy[State] = st.builds(
    whole, tables, tunnels(), st.lists(wired, max_size=1), st.lists(others, max_size=30)
)
wishes = states.map(lambda state: want(state.values()))
foreigners = st.lists(st.builds(Link, one_of(places), st.just(LinkKind.FOREIGN), st.just(1500)))
founds: st.SearchStrategy[State] = st.builds(
    whole, tables, tunnels(), st.lists(wired, max_size=1), st.lists(others, max_size=30), foreigners
)


def known_endpoints(state: State) -> State:
    """As far as an outsider can compare: what is wanted without an endpoint may have any."""
    return {key: Peer(fact.device, fact.public_key) if isinstance(fact, Peer) else fact for key, fact in state.items()}


@settings(max_examples=EXAMPLES)
@given(founds, wishes)
def test_a_plan_leads_there_and_the_next_is_empty(actual: State, wanted: State) -> None:
    state = dict(actual)
    for change in plan(actual, wanted):
        assert not asks_too_much(change, state)
        take(state, change)
    assert state.keys() == wanted.keys()
    assert all(is_settled(state[key], fact) for key, fact in wanted.items())
    assert plan(state, wanted) == []


def asks_too_much(change: Put | Drop, state: State) -> bool:
    """No interface becomes another kind or goes elsewhere, and nothing is put where its ground is missing."""
    fact, have = change.fact, state.get(change.fact.key)
    if isinstance(change, Put) and isinstance(fact, Link) and isinstance(have, Link):
        return (fact.kind, fact.vxlan) != (have.kind, have.vxlan)
    return not can(change, state)


@settings(max_examples=EXAMPLES)
@given(founds, wishes)
def test_what_stays_is_there_all_the_time(actual: State, wanted: State) -> None:
    state = dict(actual)
    fallen = {fact.key for fact in actual.values() if must_rebuild(fact, wanted)}
    stays = {key for key in actual if key in wanted and not falls(key, actual, fallen)}
    for change in plan(actual, wanted):
        take(state, change)
        assert stays <= state.keys()


def falls(key: Key, state: State, fallen: set[Key]) -> bool:
    """A network may stay while its peer goes: it is with another by then."""
    while key not in fallen:
        needed = needs(state[key]) if key in state else None
        if needed is None:
            return False
        key = needed
    return True


@settings(max_examples=EXAMPLES)
@given(founds, wishes, st.data())
def test_half_done_is_completed(actual: State, wanted: State, data: st.DataObject) -> None:
    state = dict(actual)
    for change in plan(actual, wanted):
        if data.draw(st.booleans()) and can(change, state):
            take(state, change)
    for change in plan(state, wanted):
        take(state, change)
    assert known_endpoints(state) == known_endpoints(wanted)


def can(change: Put | Drop, state: State) -> bool:
    """The kernel refuses what lacks its interface or peer."""
    needed = needs(change.fact)
    return isinstance(change, Drop) or needed is None or needed in state


@settings(max_examples=EXAMPLES)
@given(founds, wishes)
def test_amending_is_planning_without_the_rest(actual: State, wanted: State) -> None:
    merged = {**actual, **wanted}
    state = dict(actual)
    for change in amend(actual, wanted.values(), []):
        take(state, change)
    if not any(must_rebuild(fact, wanted) for fact in actual.values()):
        assert known_endpoints(state) == known_endpoints(merged)


def base(*more: Fact) -> State:
    links = [fact for name in DEVICES for fact in (Link(name, LinkKind.WIREGUARD, 1420), Device(name, KEYS[0], 1))]
    return want([Rules("a"), *links, *more])


def test_a_network_moves_in_one_step() -> None:
    peers = [Peer(LINKS, KEYS[0]), Peer(LINKS, KEYS[1])]
    before = base(*peers, AllowedIp(LINKS, NETWORKS[0], KEYS[0]))
    after = base(peers[1], AllowedIp(LINKS, NETWORKS[0], KEYS[1]))
    assert plan(before, after) == [Put(AllowedIp(LINKS, NETWORKS[0], KEYS[1])), Drop(peers[0])]


def test_sources_are_swapped_before_the_endpoint_moves() -> None:
    before = base(Peer(SESSIONS, KEYS[0], ENDS[0]), outer(ROUTES[0]))
    after = base(Peer(SESSIONS, KEYS[0], ENDS[1]), outer(ROUTES[1]))
    swap = [Put(outer(ROUTES[1])), Drop(outer(ROUTES[0]))]
    assert plan(before, after) == [*swap, Put(Peer(SESSIONS, KEYS[0], ENDS[1]))]


def test_interfaces_are_never_unguarded() -> None:
    state = base()
    assert plan({}, state)[0] == Put(Rules("a"))
    assert plan(state, {})[-1] == Drop(Rules("a"))


def test_an_endpoint_that_is_not_wanted_stays() -> None:
    state = dict(base(Peer(SESSIONS, KEYS[0], ENDS[0])))
    assert plan(state, base(Peer(SESSIONS, KEYS[0]))) == []
    take(state, Put(Peer(SESSIONS, KEYS[0], None, 25)))
    assert state[Peer, SESSIONS, KEYS[0]] == Peer(SESSIONS, KEYS[0], ENDS[0], 25)


def test_a_peer_is_renewed_with_what_it_has() -> None:
    peer, allowed = Peer(LINKS, KEYS[0], ENDS[0]), AllowedIp(LINKS, NETWORKS[0], KEYS[0])
    state = dict(base(peer, allowed, Peer(LINKS, KEYS[1]), AllowedIp(LINKS, NETWORKS[1], KEYS[1])))
    before = dict(state)
    changes = renew(state, peer)
    assert changes == [Drop(peer), Put(peer), Put(allowed)]
    for change in changes:
        take(state, change)
    assert state == before


def test_an_old_removal_takes_nothing_from_the_new_owner() -> None:
    state = base(Peer(LINKS, KEYS[0]), Peer(LINKS, KEYS[1]), AllowedIp(LINKS, NETWORKS[0], KEYS[1]))
    assert amend(state, [], [AllowedIp(LINKS, NETWORKS[0], KEYS[0])]) == []


@pytest.mark.parametrize(
    ("wanted", "says"),
    [
        ([Peer(LINKS, KEYS[0])], "add 'Device sky-link'"),
        ([Link(LINKS, LinkKind.WIREGUARD, 1420)], "add 'Device sky-link'"),
        ([Link("eth0", LinkKind.VXLAN, 1420)], "'eth0' is not ours"),
        ([Link(WIRES[0], LinkKind.VXLAN, 1420)], "give 'vxlan'"),
        ([pair(LINKS, ROUTES[0], ROUTES[1])], "add 'Rules'"),
        ([Route(NETWORKS[0], "eth0"), Route(NETWORKS[0], "eth1")], "ask for one of them"),
        ([Address(WIRES[0], IPv6Interface("fe80::1/64"))], f"add 'Link {WIRES[0]}'"),
    ],
)
def test_a_contradiction_is_refused(wanted: list[Fact], says: str) -> None:
    with pytest.raises(WantedError, match=says):
        want(wanted)


def test_amending_without_what_is_needed_is_refused() -> None:
    with pytest.raises(WantedError, match="add 'Peer sky-link 0303"):
        amend(base(), [AllowedIp(LINKS, NETWORKS[0], KEYS[2])], [])


def test_words_are_checked() -> None:
    with pytest.raises(WantedError, match="VNI '5'"):
        Vxlan(5, IPv4Address(1), IPv4Address(2))
    with pytest.raises(WantedError, match="one address family"):
        Vxlan(FIRST_VNI, IPv4Address(1), IPv6Address(2))
    with pytest.raises(WantedError, match="has 3 bytes"):
        Device(LINKS, b"abc", 1)


def test_private_keys_are_not_shown() -> None:
    device = Device(LINKS, bytes(range(32)), 1)
    assert device.private_key.hex() not in repr(device)
    assert repr(device.private_key) not in repr([Put(device)])
