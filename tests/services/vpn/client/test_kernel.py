"""The doors on a real kernel, in a network namespace whose `sky0` leads nowhere: what is wanted is there, once, and
after the end nothing of it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.services.kernel.hosts import ROOT, Host, sweep

GUESTS = "10.9.9.9/32", "fd54:1::1/128"
"""Addresses of `sky0` that somebody else put there."""

HEAD = """
from ipaddress import IPv4Address, IPv6Address, ip_network
from services.vpn.client import kernel, tables
from services.vpn.client.gateway import gateway_text
from services.vpn.client.redirect import redirect_text
from services.vpn.client.ways import Lent, wanted
def lent(last, six=True):
    own = IPv6Address(f"fd54::{last}") if six else None
    return Lent(IPv4Address(f"100.64.0.{last}"), own, (IPv4Address("100.64.0.1"), IPv6Address("fd54::1")), 1328)
def bring(lent, exclude=()):
    kernel.bring(wanted((), tuple(map(ip_network, exclude)), lent))
"""


class Place:
    def __init__(self, host: Host) -> None:
        self.host = host

    def add_tunnel(self) -> None:
        self.host.run("ip", "link", "add", "sky0", "type", "veth", "peer", "name", "far")
        for name in ("sky0", "far"):
            self.host.run("ip", "link", "set", name, "up")
        for guest in GUESTS:
            self.host.run("ip", "address", "add", guest, "dev", "sky0")

    def do(self, program: str, *, ok: bool = True) -> None:
        done = self.host.python("-c", f"import sys; sys.path.insert(0, {str(ROOT)!r})\n{HEAD}\n{program}")
        assert done is ok, program

    def shown(self, *words: str) -> list[str]:
        return [" ".join(line.split()) for line in self.host.run("ip", *words).splitlines()]

    def routes(self) -> list[str]:
        four = self.host.run("sh", "-c", "ip route show table 84 2>/dev/null; ip -6 route show table 84 2>/dev/null")
        return [" ".join(line.split()) for line in four.splitlines()]

    def addresses(self) -> set[str]:
        found = [line.split() for line in self.host.run("ip", "-o", "address", "show", "dev", "sky0").splitlines()]
        return {words[3] for words in found if not words[3].startswith("fe80")}


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    if os.geteuid() != 0:
        pytest.skip("makes network namespaces: run as root")
    sweep()
    host = Host("ways")
    try:
        place = Place(host)
        place.add_tunnel()
        yield place
    finally:
        host.close()


def test_a_lease_becomes_another_and_nothing(place: Place) -> None:
    place.do("bring(None)")
    assert "8400: from all lookup main suppress_prefixlength 0 proto 84" in place.shown("rule")
    assert "8401: not from all fwmark 0x51 lookup 84 proto 84" in place.shown("-6", "rule")
    assert place.addresses() == {*GUESTS}
    place.do("bring(lent(7), ['9.9.9.0/24']); bring(lent(7), ['9.9.9.0/24'])")
    before = place.routes()
    assert "default dev sky0 proto 84 scope link src 100.64.0.7 metric 100 mtu 1328" in before
    assert "default dev sky0 proto 84 src fd54::7 metric 100 mtu 1328 pref medium" in before
    assert "throw 9.9.9.0/24 proto 84 metric 100" in before
    assert "unreachable default proto 84 metric 1000000" in before
    assert len(place.shown("rule")) == 5
    place.do("bring(lent(8, six=False))")
    assert place.addresses() == {*GUESTS, "100.64.0.8/32"}
    after = place.routes()
    assert not [line for line in after if "100.64.0.7" in line or "fd54::7" in line or "throw" in line]
    assert "unreachable default dev lo proto 84 metric 100 error -101 pref medium" in after or any(
        line.startswith("unreachable default dev lo proto 84 metric 100 ") for line in after
    )
    place.do("kernel.clear(); kernel.clear()")
    assert place.routes() == []
    assert len(place.shown("rule")) == 3
    assert place.addresses() == {*GUESTS}


def test_without_the_interface_nothing_gets_past(place: Place) -> None:
    place.do("bring(lent(7))")
    place.host.run("ip", "link", "delete", "sky0")
    try:
        place.do("bring(lent(7))", ok=False)
        assert [line for line in place.routes() if line.startswith("default")] == []
        assert "unreachable default proto 84 metric 1000000" in place.routes()
    finally:
        place.do("kernel.clear()")
        place.add_tunnel()


def test_the_tables_are_taken_by_the_kernel(place: Place) -> None:
    place.do("""
for six in (True, False):
    one = lent(7, six)
    tables.run(redirect_text(one.dns, one))
    tables.run(gateway_text(["eth1", "wlan0"], one.ipv4, one.ipv6, one.dns, one.mtu))
""")
    listed = place.host.run("nft", "list", "tables").split()
    assert {"skywire_dns", "skywire_gateway"} <= set(listed)
    place.do("tables.drop_all(); tables.drop_all()")
    assert "skywire_dns" not in place.host.run("nft", "list", "tables")


def test_a_strict_reverse_path_check_is_loosened(place: Place) -> None:
    place.host.run("sysctl", "-qw", "net.ipv4.conf.sky0.rp_filter=1")
    place.do("kernel.loosen()")
    assert place.host.run("sysctl", "-n", "net.ipv4.conf.all.rp_filter").strip() == "2"
