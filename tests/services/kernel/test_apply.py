"""Bringing real namespaces to what is wanted: again, after a crash, half failed, and away."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Callable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Interface, IPv6Network

import pytest

from services.kernel import rules
from services.kernel.errors import DoorError
from services.kernel.meter import Pair
from services.kernel.model import (
    FIRST_VNI,
    LINKS,
    SESSIONS,
    Address,
    AllowedIp,
    Count,
    Device,
    Drop,
    Fact,
    Link,
    LinkKind,
    Peer,
    Put,
    Route,
    Rule,
    granted,
    opened,
    outer,
    outside,
    pair,
    wire,
    wire_name,
)
from services.kernel.plan import want
from tests.services.kernel.hosts import PREFIX, Host, cable, ip, names, sweep
from tests.services.kernel.words import Label, Node, neighbour, own, relays, wired

MakeHost = Callable[[str], Host]
LABEL = Label(0xABCDEF)
A, B, C = Node("a"), Node("b"), Node("c")
WIRE = wire_name(FIRST_VNI + 1)
V6 = IPv6Address("2001:db8::9")


def everything() -> list[Fact]:
    """A fact of every kind there is."""
    return [
        *own(A, rules.Settings(rules.Host.BOARD)),
        *neighbour(B, "10.0.1.2"),
        *neighbour(C, "10.0.2.2"),
        *wired(A, B, 1, "10.0.1.1", "10.0.1.2"),
        *relays(LABEL, B, C),
        Peer(SESSIONS, B.session_key, None, 25),
        Address("lo", IPv6Interface("fd53::7/128")),
        Route(IPv6Network("fd52:7::2/128"), WIRE, via=B.wire_address, source=A.session_address, mtu=1300),
        Route(IPv4Network("192.0.2.0/24"), "e1", via=IPv4Address("10.0.1.2"), table=300),
        Route(IPv6Network("::/0"), SESSIONS, table=300),
        Rule(100, 300, 0x51, inverted=True),
        Rule(100, 300, 0x51, inverted=True, version=4),
        Rule(101, 254),
        outer(LABEL.initiator),
        outer(IPv4Address("192.0.2.1")),
        wire(V6, FIRST_VNI + 2),
        opened("tcp", 80),
        opened("udp", 53),
        granted(B.session_address, "tcp", 22),
        outside("tcp", 4222),
    ]


@pytest.fixture
def host(make_host: MakeHost) -> Host:
    host, other = make_host("a"), make_host("b")
    cable(host, other, 1)
    return host


def difference(host: Host, wanted: list[Fact]) -> set[object]:
    return set(host.call("read").items()) ^ set(want(wanted).items())


def test_everything_is_found_as_it_was_wanted(host: Host) -> None:
    report = host.call("bring", want(everything()))
    assert not report.failed
    assert difference(host, everything()) == set()
    assert host.call("bring", want(everything())).done == ()


def visible(host: Host) -> list[str]:
    """Routes, rules and interfaces; without what the kernel does on the cable at its own time."""
    words = ("-6 route", "route show table 300", "rule", "-6 rule", "-br link")
    lines = [line for each in words for line in host.run("ip", *each.split(), ok=False).splitlines()]
    return [line for line in lines if "fe80::/64 dev e1" not in line]


def test_everything_goes_away_again(host: Host) -> None:
    before = visible(host)
    host.call("bring", want(everything()))
    assert not host.call("bring", {}).failed
    assert visible(host) == before
    assert host.run("nft", "list", "ruleset") == ""
    assert host.run("ip", "-6", "address", "show", "dev", "lo", "scope", "global") == ""
    assert host.call("read") == {}


def test_strangers_are_left_alone(host: Host) -> None:
    host.run("ip", "-6", "route", "add", "fd52:9::/32", "dev", "e1")
    host.run("ip", "-6", "rule", "add", "priority", "77", "table", "78")
    host.run("ip", "link", "add", "vx", "type", "vxlan", "id", "9", "remote", "10.0.1.2", "dstport", "4788")
    host.run("nft", "add table inet other; add chain inet other x; add rule inet other x counter")
    host.call("bring", want(everything()))
    host.call("bring", {})
    assert "fd52:9::/32 dev e1" in host.run("ip", "-6", "route")
    assert "77:" in host.run("ip", "-6", "rule")
    assert "vx:" in host.run("ip", "link")
    assert "counter" in host.run("nft", "list", "table", "inet", "other")


def linked(make_host: MakeHost) -> tuple[Host, list[Fact]]:
    """Host b between a and c with a label, over which packets went."""
    hosts = [make_host(name) for name in "abc"]
    cable(hosts[0], hosts[1], 1)
    cable(hosts[1], hosts[2], 2)
    wanted = [*own(B), *neighbour(A, "10.0.1.1"), *neighbour(C, "10.0.2.2"), *relays(LABEL, A, C)]
    hosts[0].call("bring", want([*own(A), *neighbour(B, "10.0.1.2")]))
    hosts[2].call("bring", want([*own(C), *neighbour(B, "10.0.2.1")]))
    assert not hosts[1].call("bring", want(wanted)).failed
    for host, node, far in ((hosts[0], A, LABEL.responder), (hosts[2], C, LABEL.initiator)):
        here = LABEL.initiator if node is A else LABEL.responder
        host.call(
            "amend",
            [
                Address(LINKS, IPv6Interface((here, 128))),
                AllowedIp(LINKS, IPv6Network(far), B.link_key),
                Route(IPv6Network(far), LINKS, source=here),
            ],
        )
    assert hosts[0].pings(LABEL.responder)
    return hosts[1], wanted


def seen(host: Host) -> tuple[list[str], list[tuple[int, str]], dict[Pair, Count]]:
    """What would be lost by building anew: handshakes, interfaces, counters."""
    shaken = sorted(host.run("wg", "show", LINKS, "latest-handshakes").splitlines())
    interfaces = [(link["ifindex"], link["ifname"]) for link in json.loads(host.run("ip", "-j", "link"))]
    return shaken, interfaces, host.call("counters")


def test_a_restart_adopts_what_it_finds(make_host: MakeHost) -> None:
    host, wanted = linked(make_host)
    before = seen(host)
    assert all(count.packets for count in before[2].values())
    assert host.call("bring", want(wanted)).done == ()
    assert seen(host) == before
    host.crash()
    assert host.call("bring", want(wanted)).done == ()
    assert seen(host) == before


def test_new_rules_keep_labels_and_counters(make_host: MakeHost) -> None:
    host, wanted = linked(make_host)
    before = seen(host)
    board = rules.fixed(rules.Settings(rules.Host.BOARD))
    assert host.call("bring", want([board, *wanted[1:]])).done == (Put(board),)
    assert seen(host) == before
    assert "@outside" in host.run("nft", "list", "chain", "inet", "skywire", "input")
    assert host.call("bring", want(wanted)).done == (Put(wanted[0]),)
    assert "@outside" not in host.run("nft", "list", "chain", "inet", "skywire", "input")


def test_half_failed_is_reported_and_completed(host: Host) -> None:
    """Addresses are refused where IPv6 is off; all else goes on, and the next call does what is left."""
    wanted = [*own(A), *neighbour(B, "10.0.1.2")]
    assert not host.call("bring", want(wanted)).failed
    host.run("sysctl", "-qw", f"net.ipv6.conf.{LINKS}.disable_ipv6=1")
    more: list[Fact] = [Address(LINKS, IPv6Interface("fd52:8::1/128")), Route(IPv6Network("fd52:8::2/128"), LINKS)]
    fine: list[Fact] = [
        opened("tcp", 80),
        Peer(LINKS, C.link_key),
        AllowedIp(LINKS, IPv6Network(C.link_address), C.link_key),
    ]
    report = host.call("amend", [*more, *fine])
    assert {failure.change for failure in report.failed} == set(map(Put, more))
    assert all(failure.reason for failure in report.failed)
    assert set(report.done) == set(map(Put, fine))
    assert set(fine) <= set(host.call("read").values())
    host.run("sysctl", "-qw", f"net.ipv6.conf.{LINKS}.disable_ipv6=0")
    assert not host.call("bring", want([*wanted, *more, *fine])).failed
    assert difference(host, [*wanted, *more, *fine]) == set()


def test_one_bad_element_takes_no_other_with_it(host: Host) -> None:
    host.call("bring", want(own(A)))
    good = [pair(LINKS, IPv6Address(f"fd52:{number:x}::1"), IPv6Address("fd52::2")) for number in range(1, 101)]
    bad = pair("a-name-longer-than-an-interface's", IPv6Address("fd52::1"), IPv6Address("fd52::2"))
    report = host.call("amend", [*good[:37], bad, *good[37:]])
    assert [failure.change for failure in report.failed] == [Put(bad)]
    assert "nftables refused" in report.failed[0].reason
    assert len(report.done) == len(host.call("counters")) == 100


def test_what_others_removed_is_made_again(host: Host) -> None:
    wanted = everything()
    host.call("bring", want(wanted))
    host.run("ip", "link", "delete", LINKS)
    host.run("nft", "flush", "ruleset")
    host.run("ip", "-6", "route", "flush", "table", "300")
    host.run("ip", "link", "set", WIRE, "down")
    host.call("read")
    assert not host.call("bring", want(wanted)).failed
    assert difference(host, wanted) == set()


def test_what_others_removed_counts_as_removed(host: Host) -> None:
    host.call("bring", want([*own(A), *neighbour(B, "10.0.1.2"), opened("tcp", 80), opened("tcp", 81)]))
    host.run("nft", "delete element inet skywire open { tcp . 80 }")
    host.run("ip", "-6", "route", "delete", str(B.link_address))
    host.run("ip", "link", "delete", SESSIONS)
    report = host.call("bring", want([*own(A)[:6]]))
    assert not report.failed
    assert Drop(opened("tcp", 80)) in report.done
    assert difference(host, own(A)[:6]) == set()


def test_a_dead_wireguard_is_reported_and_started_again(host: Host) -> None:
    wanted = [*own(A), *neighbour(B, "10.0.1.2")]
    host.call("bring", want(wanted))
    host.end(f"wireguard-go {LINKS}")
    report = host.call("amend", relays(LABEL, B, B)[:1])
    assert report.done == ()
    assert "wireguard-go of 'sky-link'" in report.failed[0].reason
    assert not host.call("bring", want([*wanted, *relays(LABEL, B, B)[:1]])).failed
    assert difference(host, [*wanted, *relays(LABEL, B, B)[:1]]) == set()


def test_a_stranger_of_our_name_gives_way(host: Host) -> None:
    host.run("ip", "link", "add", SESSIONS, "type", "vxlan", "id", "9", "remote", "10.0.1.2", "dstport", "4788")
    assert not host.call("bring", want(own(A))).failed
    assert difference(host, own(A)) == set()


def test_networks_are_taken_away_without_the_rest(host: Host) -> None:
    wanted = [*own(A), *neighbour(B, "10.0.1.2")]
    networks = [IPv6Network(f"fd52:{number:x}::1/128") for number in range(1, 51)]
    some = [AllowedIp(LINKS, network, B.link_key) for network in networks]
    assert not host.call("bring", want([*wanted, *some])).failed
    assert not host.call("amend", [], some[:40]).failed
    assert difference(host, [*wanted, *some[40:]]) == set()
    assert host.run("wg", "show", LINKS, "peers").count("=") == 1


def test_an_interface_with_a_key_of_another(host: Host) -> None:
    host.call("bring", want(own(A)))
    other: list[Fact] = [
        Device(LINKS, B.link_private, 1234, 7) if fact.key == (Device, LINKS) else fact for fact in own(A)
    ]
    assert host.call("bring", want(other)).done == (Put(Device(LINKS, B.link_private, 1234, 7)),)
    assert "listening port: 1234" in host.run("wg", "show", LINKS)


def test_a_wire_that_goes_elsewhere_is_built_anew(host: Host) -> None:
    host.call("bring", want([*own(A), *wired(A, B, 1, "10.0.1.1", "10.0.1.2")]))
    wanted = [*own(A), *wired(A, B, 1, "10.0.1.1", "10.0.1.3")]
    assert not host.call("bring", want(wanted)).failed
    assert difference(host, wanted) == set()
    assert "remote 10.0.1.3" in host.run("ip", "-d", "link", "show", WIRE)


def test_no_other_interface_is_made_a_router(host: Host) -> None:
    """Old kernels know forwarding for all or none: there, who learns from a router shall go on learning."""

    def conf(device: str, name: str) -> str:
        return host.run("cat", f"/proc/sys/net/ipv6/conf/{device}/{name}", ok=False).strip()

    host.call("bring", want(own(A)))
    if conf("all", "force_forwarding"):
        assert (conf("all", "forwarding"), conf("e1", "force_forwarding")) == ("0", "0")
        assert conf(LINKS, "force_forwarding") == "1"
    else:
        assert (conf("all", "forwarding"), conf("e1", "accept_ra")) == ("1", "2")


def test_without_the_table_counters_say_nothing(host: Host) -> None:
    assert host.call("counters") == {}
    with pytest.raises(DoorError, match="nftables refused"):
        host.call("refusals")


def test_a_link_without_its_words_is_refused_before_anything() -> None:
    with pytest.raises(Exception, match="without its key"):
        want([Link(LINKS, LinkKind.WIREGUARD, 1420)])


def test_what_a_killed_run_left_is_swept_away(make_host: MakeHost) -> None:
    make_host("mine")
    left = f"{PREFIX}999999999-left"
    ip("netns", "add", left)
    with subprocess.Popen(["ip", "netns", "exec", left, "sh", "-c", "echo; exec cat"], stdin=-1, stdout=-1) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"\n"
        sweep()
        assert process.wait(timeout=30) == -signal.SIGKILL
    assert left not in names()
    assert any(name.endswith("-mine") for name in names())


def test_bursts_of_sessions_fit_into_a_wire(make_host: MakeHost) -> None:
    """A longer one would be cut before the first relay: a third of the throughput."""
    host = make_host("a")
    assert not host.call("bring", want(own(A))).failed
    assert "gso_max_size 56000 " in host.run("ip", "-details", "link", "show", "dev", "sky0")
