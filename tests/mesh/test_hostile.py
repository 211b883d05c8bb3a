"""What others may try, each from a host of its own: the packet must not get through, and where a rule of ours drops it,
it is counted.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable, Iterator

import pytest

from services.addresses import link_address, session_address
from services.keys import Identity, NodeId, session_key
from services.manager.routes.policy import Policy
from services.node.api_words import GetSessions, Sessions
from services.node.errors import NodeRefusedError
from tests.laboratory.host import Host
from tests.mesh.kernel_view import dropped, give, passed, transfer
from tests.mesh.packets import ECHO_REQUEST, ICMP, VXLAN_PORT, echo6, mac_of, put, udp6, vxlan
from tests.mesh.world import World

TIMES = 20
MARK = b"mark of this test"
QUIET_S = 0.3
"""How long we listen for what must not come: packets on these cables take a hundredth of that."""


@contextlib.contextmanager
def listening(host: Host, port: int) -> Iterator[Callable[[], list[str]]]:
    """A UDP socket on all of a host's addresses; gives who was heard until there is quiet."""
    with host.socket(socket.AF_INET6, socket.SOCK_DGRAM) as ear:
        ear.bind(("::", port))
        ear.settimeout(QUIET_S)

        def heard() -> list[str]:
            found = []
            with contextlib.suppress(TimeoutError):
                while True:
                    found.append(ear.recvfrom(65_536)[1][0])
            return found

        yield heard


@contextlib.contextmanager
def hearing_echoes(host: Host) -> Iterator[Callable[[], list[str]]]:
    """Gives who asked for an echo of MARK until there is quiet."""
    with host.socket(socket.AF_INET6, socket.SOCK_RAW, ICMP) as ear:
        ear.settimeout(QUIET_S)

        def heard() -> list[str]:
            found = []
            with contextlib.suppress(TimeoutError):
                while True:
                    data, sender = ear.recvfrom(65_536)
                    if data[0] == ECHO_REQUEST and data.endswith(MARK):
                        found.append(sender[0])
            return found

        yield heard


def keys(world: World, name: str) -> Identity:
    return Identity(world.lab.residents[name].seed)


def link_of(world: World, name: str) -> str:
    return str(link_address(keys(world, name).link_key))


def through(world: World, at: str, to: str) -> tuple[str, str]:
    """Our and their address of the active route of a session; who asks is its initiator."""
    paths = world.node(at).ask(GetSessions(), Sessions).sessions
    far = next(p.address for s in paths if s.node_id == world.id(to) for p in s.paths if p.is_active)
    return f"{far[:-1]}1", far


def foreign_destination(world: World) -> str:
    relay = world.host("a")
    over_a = Policy(via=(NodeId(world.id("a")),), hops_at_most=2)
    with world.session_to("x", "y", 7001, over_a), world.session_to("x", "z", 7002, over_a):
        own, right = through(world, "x", "y")
        _, other = through(world, "x", "z")
        before, strayed = passed(relay), dropped(relay)["strayed"]
        put(world.host("x"), "sky-link", udp6(own, other, 51821), times=TIMES)
        world.wait(lambda: dropped(relay)["strayed"] >= strayed + TIMES, "the relay counts strayed packets", 10)
        put(world.host("x"), "sky-link", udp6(own, right, 51821), times=TIMES)
        world.wait(
            lambda: passed(relay)[own, right].packets >= before[own, right].packets + TIMES,
            "the relay forwards those with the route's own destination",
            10,
        )
    return f"{TIMES} sent, all counted as strayed; {TIMES} with the right destination were forwarded"


def test_a_route_source_with_another_routes_destination(three_ways: World) -> None:
    foreign_destination(three_ways)


def wrong_neighbour(world: World) -> str:
    relay = world.host("a")
    over_a = Policy(via=(NodeId(world.id("a")),), hops_at_most=2)
    with world.session_to("x", "y", 7003, over_a):
        own, far = through(world, "x", "y")
        y_key = keys(world, "y").link_key
        came, before = transfer(relay, "sky-link", y_key)[0], passed(relay)
        size = 1000
        forged = udp6(own, own, 51821, bytes(size))  # y is this route's other end, and may send towards `own` only
        put(world.host("y"), "sky-link", forged, times=TIMES)
        world.wait(
            lambda: transfer(relay, "sky-link", y_key)[0] >= came + TIMES * size, "the packets came to the relay", 10
        )
        after = passed(relay)
        assert (own, own) not in after
        assert after[own, far].packets - before[own, far].packets < TIMES
    return f"{TIMES} came to the relay inside WireGuard, none was forwarded"


def test_a_route_source_from_the_wrong_neighbour(three_ways: World) -> None:
    wrong_neighbour(three_ways)


def link_address_forwarded(world: World) -> str:
    relay = world.host("a")
    ours, theirs = link_of(world, "x"), link_of(world, "y")
    strayed = dropped(relay)["strayed"]
    give(world.host("x"), "sky-link", keys(world, "a").link_key, f"{theirs}/128")
    try:
        put(world.host("x"), "sky-link", udp6(ours, theirs, 51822), times=TIMES)
        world.wait(lambda: dropped(relay)["strayed"] >= strayed + TIMES, "the relay counts strayed packets", 10)
    finally:
        with contextlib.suppress(AssertionError):  # it may know y no more
            give(world.host("x"), "sky-link", keys(world, "y").link_key, f"{theirs}/128")
    return f"{TIMES} sent, all counted as strayed"


def test_a_link_address_is_never_forwarded(three_ways: World) -> None:
    link_address_forwarded(three_ways)


def forged_on_the_lan(world: World, source: str) -> str:
    victim = world.host("a")
    forged = {"session": str(session_address(NodeId(world.id("d")))), "route": "fd52::1", "link": link_of(world, "x")}
    with listening(victim, 7004) as heard, world.node("a").publish("open-7004", 7004):
        before = dropped(victim)["forged"]
        packet = udp6(forged[source], victim.session_address, 7004)
        put(world.host("m"), "control", packet, times=TIMES, to=mac_of(victim, "control"))
        world.wait(lambda: dropped(victim)["forged"] >= before + TIMES, "the victim counts forged packets", 10)
        assert heard() == []
    return f"{TIMES} frames from {forged[source]}: all counted as forged, none heard"


@pytest.mark.parametrize("source", ["session", "route", "link"])
def test_a_lan_host_forges_our_addresses(three_ways: World, source: str) -> None:
    forged_on_the_lan(three_ways, source)


def vpn_peer(world: World) -> str:
    """Someone whom a gives `::/0`, as a client does to its VPN server, still has no say over our ranges."""
    victim, server = world.host("a"), world.host("d")
    foreign = [link_of(world, "x"), "fd52::1", str(session_address(NodeId(world.id("x"))))]
    own = [server.session_address, "2001:db8::1"]
    with world.session_to("a", "d", 7006), hearing_echoes(victim) as heard:
        give(victim, "sky0", session_key(NodeId(world.id("d"))), "::/0")
        for source in (*foreign, *own):
            put(server, "sky0", echo6(source, victim.session_address, MARK), times=TIMES)
        found: list[str] = []

        def last_came() -> bool:
            found.extend(heard())
            return found.count(own[-1]) == TIMES

        world.wait(last_came, "what a VPN may deliver is heard", 10)
    assert set(found) == set(own)
    return f"{TIMES} echo requests each from {', '.join(own)} were heard, none from {', '.join(foreign)}"


def test_a_vpn_peer_delivers_addresses_of_ours(three_ways: World) -> None:
    vpn_peer(three_ways)


def not_on_the_list(world: World) -> str:
    with world.node("d").publish("closed", 7007, world.id("a")):
        world.connect_once_offered("a", "d", "closed")
        with pytest.raises(NodeRefusedError) as refused:
            world.connect("x", "d", "closed")
        assert not any(s.node_id == world.id("d") for s in world.node("x").ask(GetSessions(), Sessions).sessions)
        world.close("a", "d")
    return f"'x' is told: {refused.value}"


def test_who_is_not_on_the_list_gets_no_session(three_ways: World) -> None:
    not_on_the_list(three_ways)


def injected_into_a_wire(world: World) -> str:
    victim = world.host("a")
    world.wait(lambda: "b" in world.links_up("a"), "'a' has a link to 'b'")
    (device,) = {link.device for link in world.links("a") if link.node_id == world.id("b")}
    assert device.startswith("sky-w")
    vni = int(device.removeprefix("sky-w"), 16)
    before = dropped(victim)["injected"]
    body = vxlan(vni, udp6(link_of(world, "b"), link_of(world, "a"), 51822))
    with world.host("c").socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        for _ in range(TIMES):
            stranger.sendto(body, (victim.node.address(), VXLAN_PORT))
    world.wait(lambda: dropped(victim)["injected"] >= before + TIMES, "the victim counts injected packets", 10)
    return f"{TIMES} sent into VNI {vni:x} of {device}, all counted as injected"


def test_a_third_host_injects_into_a_wire(rack: World) -> None:
    injected_into_a_wire(rack)
