"""The table as text: that nftables takes it, whatever the policy, over whatever there is; and what clients change."""

from __future__ import annotations

import json
from collections.abc import Iterator
from ipaddress import IPv4Network, ip_address, ip_network

import pytest

from services.keys import NodeId
from services.vpn.server.leases import Leases, network6
from services.vpn.server.ruleset import PRIVATE, Client, Policy, limits, new_quotas, serve, stop_serving, table
from tests.services.kernel.conftest import make_host
from tests.services.kernel.hosts import Host

POOLS = (IPv4Network("100.64.0.0/22"), IPv4Network("10.64.0.0/22"))
SIX = network6(NodeId("11" * 32))
LEASE, _ = Leases(POOLS[0]).lease(NodeId("22" * 32), [], ())
PLAIN = Policy(POOLS[:1], SIX)
FULL = Policy(
    POOLS,
    SIX,
    tuple(map(ip_network, ("10.1.0.0/24", "203.0.113.0/25", "2001:db8::/64", "10.1.0.0/25"))),
    tuple(map(ip_network, ("10.1.0.7/32", "10.1.0.0/28", "fd00::7/128"))),
    tuple(map(ip_network, ("198.51.100.0/24", "2001:db8:1::/48"))),
    tuple(map(ip_address, ("192.168.1.1", "9.9.9.9", "2620:fe::fe"))),
    0.5,
    5_000_000,
)

__all__ = ["make_host"]


@pytest.fixture(scope="module")
def host() -> Iterator[Host]:
    made = Host("ruleset")
    yield made
    made.close()


def put(host: Host, text: str) -> None:
    host.run("sh", "-c", 'printf "%s" "$0" | nft -f -', text)


def listed(host: Host, kind: str) -> list[dict[str, object]]:
    things = json.loads(host.run("nft", "-j", "list", "table", "inet", "skywire_vpn"))["nftables"]
    return [thing[kind] for thing in things if kind in thing]


def test_one_table_takes_the_place_of_another(host: Host) -> None:
    client = Client(LEASE, 123, (4, 567), (8, 910))
    for policy in (PLAIN, FULL, FULL, PLAIN):
        put(host, table(policy, [client], {"blocked": (5, 50)}))
        counters = {one["name"]: one["packets"] for one in listed(host, "counter")}
        assert (counters["blocked"], counters["forged"]) == (5, 0)
        assert len(listed(host, "quota")) == (policy is FULL)
        sent = next(one for one in listed(host, "set") if one["name"] == "sent")
        assert sent["elem"] == [{"elem": {"val": 0x54000002, "counter": {"packets": 4, "bytes": 567}}}]
    assert listed(host, "limit") == []


def test_clients_come_and_go(host: Host) -> None:
    put(host, table(FULL, [], {}))
    for _ in range(2):
        put(host, "\n".join([*limits(FULL, Client(LEASE)), *serve(LEASE, SIX), ""]))
    (quota,) = listed(host, "quota")
    assert (quota["bytes"], quota["used"]) == (5_000_000, 0)
    assert [one["rate"] for one in listed(host, "limit")] == [62500, 62500]
    put(host, new_quotas(5_000_000, [LEASE.number]))
    put(host, "\n".join([*stop_serving(LEASE, SIX), ""]))
    numbers = [one for one in listed(host, "map") if str(one["name"]).startswith("numbers")]
    assert [one.get("elem") for one in numbers] == [None, None]
    assert len(listed(host, "quota")) == 1


def test_names_go_to_one_resolver_of_each_kind() -> None:
    text = table(FULL, [], {})
    assert "ip daddr { 100.64.0.1, 10.64.0.1 } meta l4proto { tcp, udp } th dport 53 dnat ip to 192.168.1.1\n" in text
    assert f"ip6 daddr {SIX[1]} meta l4proto {{ tcp, udp }} th dport 53 dnat ip6 to 2620:fe::fe\n" in text
    assert "dnat" not in table(PLAIN, [], {}).replace("ct status dnat", "")


@pytest.mark.parametrize(
    ("place", "is_private"),
    [
        ("10.1.2.3", True),
        ("169.254.169.254", True),
        ("100.100.100.200", True),
        ("127.0.0.1", True),
        ("192.168.1.1", True),
        ("224.0.0.251", True),
        ("255.255.255.255", True),
        ("fd00:ec2::254", True),
        ("fe80::1", True),
        ("::ffff:10.0.0.1", True),
        ("64:ff9b::a00:1", True),
        ("2002:a00:1::1", True),
        ("9.9.9.9", False),
        ("203.0.113.80", False),
        ("2620:fe::fe", False),
    ],
)
def test_what_is_private(place: str, is_private: bool) -> None:
    address = ip_address(place)
    assert any(network.version == address.version and address in network for network in PRIVATE) == is_private
