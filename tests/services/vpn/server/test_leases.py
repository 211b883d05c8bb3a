"""Who gets which address, whatever was leased before and whatever the range's other users are."""

from __future__ import annotations

import contextlib
import time
from ipaddress import IPv4Address, IPv4Network, IPv6Network, ip_network

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as some

from services.keys import Identity, NodeId, new_seed
from services.vpn.errors import LeaseError
from services.vpn.server.leases import KeptLeases, Lease, Leases, network6

POOL = IPv4Network("100.64.0.0/29")
IDS = [NodeId(f"{number:064x}") for number in range(12)]
AVOIDABLE = ["100.64.0.0/29", "100.64.0.0/16", "100.64.0.0/10", "10.0.0.0/8", "192.168.1.0/24", "0.0.0.0/0", "::/0"]


def test_the_same_client_has_the_same_address() -> None:
    leases = Leases(POOL)
    first, is_new = leases.lease(IDS[0], [], ())
    assert (first, is_new) == (Lease(IDS[0], 2, IPv4Address("100.64.0.2")), True)
    other, _ = leases.lease(IDS[1], [], ())
    assert other.ipv4 == IPv4Address("100.64.0.3")
    assert leases.lease(IDS[0], [], ()) == (first, False)
    again = Leases(POOL, KeptLeases.of(POOL, leases.all).read(POOL))
    assert again.lease(IDS[1], [], ()) == (other, False)
    assert again.lease(IDS[2], [], ())[0].ipv4 == IPv4Address("100.64.0.4")


def test_who_was_away_the_longest_gives_way() -> None:
    leases = Leases(POOL)
    for node_id in IDS[:5]:
        leases.lease(node_id, [], ())
    leases.lease(IDS[0], [], ())
    new, _ = leases.lease(IDS[5], [], {IDS[1]})
    assert new.ipv4 == IPv4Address("100.64.0.4")
    assert leases.get(IDS[2]) is None
    with pytest.raises(LeaseError, match="all addresses are in use"):
        leases.lease(IDS[6], [], set(IDS))


@pytest.mark.parametrize(
    ("avoid", "pool"),
    [
        (["100.64.0.0/24"], "100.64.1.0/29"),
        (["100.64.0.0/10"], "10.64.0.0/29"),
        (["100.64.0.0/10", "10.0.0.0/8"], "172.16.0.0/29"),
        (["100.64.0.0/10", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/17"], "192.168.128.0/29"),
        (["fd00::/8"], "100.64.0.0/29"),
    ],
)
def test_a_range_in_use_is_left(avoid: list[str], pool: str) -> None:
    leases = Leases(POOL)
    before, _ = leases.lease(IDS[0], [], ())
    moved, is_new = leases.lease(IDS[0], list(map(ip_network, avoid)), ())
    assert moved.ipv4 in IPv4Network(pool)
    assert is_new == (moved != before)
    assert [str(one) for one in leases.pools] == list(dict.fromkeys([str(POOL), pool]))


def test_who_moves_stays_the_same_client() -> None:
    """Or it would have another quota each time; and ranges that nobody uses any more are given up."""
    leases = Leases(POOL)
    before, _ = leases.lease(IDS[0], [], ())
    for number in range(40):
        moved, is_new = leases.lease(IDS[0], [ip_network(f"100.{64 + number % 2}.0.0/16")], ())
        assert is_new
        assert (moved.number, len(leases.pools) <= 2) == (before.number, True)


def test_ranges_are_not_begun_without_end() -> None:
    leases = Leases(POOL)
    for number, node_id in enumerate(IDS):
        leases.lease(node_id, [ip_network(f"100.64.0.0/{16 - number // 2}")], ())
    for number in range(40):
        with contextlib.suppress(LeaseError):
            avoid = [pool for pool in leases.pools if pool != POOL]
            leases.lease(NodeId(f"{1000 + number:064x}"), [*avoid, POOL], set(IDS))
    assert len(leases.pools) <= 16


def test_where_everything_is_in_use_there_is_no_lease() -> None:
    leases = Leases(POOL)
    had, _ = leases.lease(IDS[0], [], ())
    with pytest.raises(LeaseError, match="no range is left"):
        leases.lease(IDS[0], [ip_network("0.0.0.0/0")], ())
    assert leases.all == (had,)


@given(
    some.lists(
        some.tuples(
            some.sampled_from(IDS),
            some.lists(some.sampled_from(AVOIDABLE), max_size=3),
            some.sets(some.sampled_from(IDS), max_size=4),
        ),
        max_size=30,
    )
)
def test_no_two_share_an_address_or_a_number(asked: list[tuple[NodeId, list[str], set[NodeId]]]) -> None:
    leases = Leases(POOL)
    for node_id, avoid, busy in asked:
        networks = list(map(ip_network, avoid))
        held = {one: leases.get(one) for one in busy if one != node_id}
        try:
            lease, _ = leases.lease(node_id, networks, busy)
        except LeaseError:
            continue
        assert not any(lease.ipv4 in network for network in networks if network.version == 4)
        assert not any(lease.ipv4 in {pool[0], pool[1], pool[-1]} for pool in leases.pools)
        assert all(leases.get(one) == had for one, had in held.items())
        every = leases.all
        assert len({one.ipv4 for one in every}) == len({one.number for one in every}) == len(every)


@pytest.mark.parametrize(
    "leases",
    [
        ((IDS[0], 2, "100.64.0.2"), (IDS[1], 2, "100.64.0.3")),
        ((IDS[0], 2, "100.64.0.2"), (IDS[1], 3, "100.64.0.2")),
        ((IDS[0], 1, "100.64.0.2"),),
        ((IDS[0], 2, "somewhere"),),
    ],
)
def test_what_was_kept_and_is_not_sound_is_passed_over(leases: tuple[tuple[NodeId, int, str], ...]) -> None:
    kept = KeptLeases(str(POOL), leases)
    assert msgspec.json.decode(msgspec.json.encode(kept), type=KeptLeases).read(POOL) == []


def test_long_lists_cost_little() -> None:
    """Any client may send one."""
    leases = Leases(POOL)
    avoid = [ip_network(f"100.{64 + number}.0.0/16") for number in range(62)]
    began = time.process_time()
    for number in range(100):
        leases.lease(IDS[0], [*avoid, ip_network(f"100.126.{number}.0/24"), ip_network("100.126.0.0/17")], ())
    assert leases.lease(IDS[0], avoid, ())[0].ipv4 in ip_network("100.126.128.0/29")
    assert time.process_time() - began < 2


def test_another_pool_begins_anew() -> None:
    kept = KeptLeases(str(POOL), ((IDS[0], 2, "100.64.0.2"),))
    assert kept.read(POOL)
    assert kept.read(IPv4Network("100.64.8.0/29")) == []


def test_each_server_has_an_ipv6_range_of_its_own() -> None:
    one, other = (network6(Identity(new_seed()).node_id) for _ in range(2))
    assert one != other
    assert one.prefixlen == 64
    assert one.subnet_of(IPv6Network("fd54::/16"))
