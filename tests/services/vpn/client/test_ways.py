"""Which routes and rules are wanted, and that the kernel comes to have them and nothing else of ours."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Interface, IPv6Address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.vpn.client.ways import EVERYTHING, MESH, IpNetwork, Kind, Lent, to_avoid, wanted

LENT = Lent(IPv4Address("100.64.0.7"), IPv6Address("fd54::7"), (IPv4Address("100.64.0.1"),), 1328)
ONLY4 = Lent(IPv4Address("100.64.0.7"), None, (), 1328)
NETWORKS = st.lists(
    st.one_of(st.ip_addresses(v=4).map(ip_network), st.ip_addresses(v=6).map(ip_network)), max_size=5, unique=True
)


def kinds(*, only: tuple[str, ...] = (), exclude: tuple[str, ...] = (), lent: Lent | None = LENT) -> dict[str, str]:
    """The way that packets to each destination take, when the tunnel's interface is there."""
    found = wanted(tuple(map(ip_network, only)), tuple(map(ip_network, exclude)), lent)
    return {str(way.destination): way.kind for way in sorted(found.ways, key=lambda way: -way.metric)}


def test_everything_goes_through() -> None:
    assert kinds() == {
        "0.0.0.0/0": Kind.TUNNEL,
        "::/0": Kind.TUNNEL,
        "100.64.0.1/32": Kind.TUNNEL,
        **{str(network): Kind.UNREACHABLE for network in MESH},
    }


def test_without_ipv6_at_the_server_it_goes_nowhere() -> None:
    assert kinds(lent=ONLY4)["::/0"] == Kind.UNREACHABLE


def test_without_a_tunnel_ipv6_goes_nowhere_and_ipv4_into_it() -> None:
    found = kinds(lent=None)
    assert found["::/0"] == Kind.UNREACHABLE
    assert found["0.0.0.0/0"] == Kind.TUNNEL


def test_only_what_is_listed() -> None:
    found = kinds(only=("9.9.9.0/24",))
    assert found["9.9.9.0/24"] == Kind.TUNNEL
    assert found["100.64.0.1/32"] == Kind.TUNNEL
    assert "0.0.0.0/0" not in found


def test_all_but_what_is_excluded() -> None:
    found = kinds(exclude=("9.9.9.0/24", "2001:db8::/32"))
    assert found["9.9.9.0/24"] == found["2001:db8::/32"] == Kind.THROW
    assert found["0.0.0.0/0"] == Kind.TUNNEL


def covers(wall: IpNetwork, one: IpNetwork) -> bool:
    return wall.version == one.version and wall.prefixlen <= one.prefixlen and one.network_address in wall


@given(only=NETWORKS, exclude=NETWORKS, lent=st.sampled_from([LENT, ONLY4, None]))
def test_beneath_each_tunnel_lies_a_wall(only: list[IpNetwork], exclude: list[IpNetwork], lent: Lent | None) -> None:
    """When the interface goes away its routes go with it, and nothing may then fall through to the uplink's."""
    ways = wanted(only, exclude, lent).ways
    walls = {way.destination for way in ways if way.kind is Kind.UNREACHABLE}
    resolvers = {ip_network(resolver) for resolver in (lent.dns if lent else ())} if only else set()
    inside = {way.destination for way in ways if way.kind is Kind.TUNNEL} - resolvers
    assert all(any(covers(wall, one) for wall in walls) for one in inside)
    assert set(only or EVERYTHING) <= walls


@pytest.mark.parametrize(
    ("device", "address", "avoided"),
    [
        ("eth0", "100.72.3.4/16", ("100.64.0.0/10",)),
        ("eth0", "100.72.3.4/32", ("100.64.0.0/10",)),
        ("sky0", "100.64.0.7/32", ()),
        ("eth0", "192.168.1.7/24", ("192.168.1.0/24",)),
        ("eth0", "100.0.0.1/8", ("100.0.0.0/8", "100.64.0.0/10")),
    ],
)
def test_ones_own_networks_are_avoided_and_a_carriers_whole_range(
    device: str, address: str, avoided: tuple[str, ...]
) -> None:
    found = to_avoid([(device, IPv4Interface(address)), ("lo", IPv4Interface("127.0.0.1/8"))])
    assert tuple(map(str, found)) == avoided
