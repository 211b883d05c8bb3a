"""Two networks that peer by public key, each with a manager and relays of its own: asked and accepted on the command
line, a service used across the border, a relay of either side killed, and nothing left once they part.
"""

from __future__ import annotations

import contextlib
import json
import socket
import time
from collections.abc import Iterator

import pytest

from services.keys import Identity, session_key
from services.manager.api_words import GetPeers, PeerRow, Peers
from services.manager.client import ask
from services.manager.routes.policy import Policy
from services.node.api_words import Find, Resolve, Resolved, Services, ServiceState
from services.node.errors import NodeRefusedError
from tests.laboratory.host import Host
from tests.laboratory.joined import manager_socket
from tests.laboratory.mesh import join_place
from tests.laboratory.model import By, Ready
from tests.mesh import places
from tests.mesh.conftest import up
from tests.mesh.kernel_view import dropped, peers
from tests.mesh.stream import open_stream
from tests.mesh.world import World

PORT, OTHER_PORT = 7500, 7501
SERVICE = f"test-{PORT}"
"""The name of the world's sessions."""

WEB = "198.51.100.7"
BORDERS = ("a-m", "b-m")
GONE_WITHIN_S = 3.0
SLOW_S = 9.0
"""A question that nobody answers takes longer."""


@pytest.fixture(scope="module")
def clusters(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    yield from up(places.TWO_CLUSTERS, tmp_path_factory)


def peer_row(world: World, at: str) -> PeerRow:
    return ask(GetPeers(), Peers, manager_socket(world.host(at))).peers[0]


def speak(world: World) -> bool:
    return all(peer_row(world, border).works for border in BORDERS)


def manager(host: Host, *words: str) -> str:
    return host.run(["manager", *words]).stdout


def found(world: World, at: str, name: str) -> tuple[ServiceState, ...]:
    return world.node(at).ask(Find(name), Services).services


def can_dial(client: Host, server: Host, port: int) -> bool:
    with client.socket(socket.AF_INET6, socket.SOCK_STREAM) as dialled:
        dialled.bind((client.session_address, 0))
        dialled.settimeout(2)
        try:
            dialled.connect((server.session_address, port))
        except TimeoutError:
            return False
        except ConnectionRefusedError:  # nobody listens, but the packet came
            return True
        return True


def join_both(world: World, exports: str) -> None:
    """Asked and accepted, as it is meant, in one step."""
    words = ("--export", exports, "--name")
    manager(world.host("a-m"), "peer", world.id("b-m"), "--at", join_place(world.lab.network, "b-m"), *words, "bee")
    world.wait(lambda: peer_row(world, "b-m").stage == "asks", "b's manager is asked", 20)
    manager(world.host("b-m"), "peers", "accept", world.id("a-m"), *words, "ay")
    world.wait(lambda: speak(world), "the managers speak", 30)
    world.wait(lambda: "b-m" in world.links_up("a-m"), "the borders are linked", 30)


def behind_nat(world: World) -> str:
    """A border behind symmetric NAT: a session each way, by the borders alone."""
    join_both(world, SERVICE)
    for there, here in (("b", "a"), ("a", "b")):
        with world.node(there).publish(SERVICE, PORT):
            world.wait(lambda: found(world, here, SERVICE), "the service is known", 40)  # noqa: B023 (at once)
            world.connect_once_offered(here, there, SERVICE, Policy())
            assert world.path(here, there) == (here, f"{here}-m", f"{there}-m", there)
            with open_stream(world.host(there), world.host(here), PORT) as stream:
                stream.wait_bytes(20_000)
    manager(world.host("b-m"), "unpeer", "ay")
    world.wait(lambda: peer_row(world, "a-m").stage == "ended", "a's manager is told", 20)
    return "a session from each to the other, over both borders; bytes came"


# scenes, in this order


def peered(world: World) -> str:
    """Asked with a command, seen in the messenger's inbox, accepted with a command; nothing happens without that."""
    a, b = world.host("a-m"), world.host("b-m")
    messenger = b.start(["meshnet-messenger", "run"], ready=Ready(By.NOTIFY, within_s=30))
    manager(a, "peer", world.id("b-m"), "--at", join_place(world.lab.network, "b-m"), "--name", "bee")
    world.wait(lambda: peer_row(world, "b-m").stage == "asks", "b's manager is asked", 20)
    assert "asks you" in manager(b, "peers")
    read = ["meshnet-messenger", "inbox"]
    world.wait(lambda: f"peers accept {world.id('a-m')[:8]}" in " ".join(b.run(read).stdout.split()), "a notice", 20)
    messenger.stop()
    assert peer_row(world, "a-m").stage == "asked"
    assert not {"b-m"} & world.links_up("a-m")
    begin = time.monotonic()
    manager(b, "peers", "accept", world.id("a-m")[:8], "--export", SERVICE, "--relays", "--name", "ay")
    world.wait(lambda: speak(world), "the managers speak", 30)
    world.wait(lambda: "b-m" in world.links_up("a-m"), "the borders are linked", 30)
    assert json.loads(manager(a, "peers", "--json"))["peers"][0]["manager_id"] == world.id("b-m")
    return f"linked and speaking {time.monotonic() - begin:.1f} s after it was accepted"


@contextlib.contextmanager
def session(world: World) -> Iterator[None]:
    """From a to b's service, with a second path."""
    with world.node("b").publish(SERVICE, PORT, "cluster:" + world.id("a-m")):
        world.wait(lambda: found(world, "a", SERVICE), "the service is in the other cluster's directory", 40)
        world.connect_once_offered("a", "b", SERVICE)
        world.wait(lambda: world.standbys("a", "b"), "there is a second path", 40)
        yield


def used(world: World) -> str:
    """By name, over a relay of each side; and of b nothing else is reached that is open to its own."""
    with session(world), world.node("b").publish("everyones", OTHER_PORT):
        (offer,) = found(world, "a", SERVICE)
        assert (offer.node_id, offer.cluster) == (world.id("b"), world.id("b-m"))
        assert not found(world, "a", "everyones")
        world.wait(lambda: world.node("a").ask(Resolve("b.bee.sky"), Resolved).node_id == world.id("b"), "its name", 20)
        path = world.path("a", "b")
        assert (path[0], path[2:4], path[5]) == ("a", BORDERS, "b"), path
        with pytest.raises(NodeRefusedError, match="not in this network"):
            world.connect("a", "b", "everyones")
        refused = dropped(world.host("b"))["refused"]
        assert can_dial(world.host("a"), world.host("b"), PORT)
        assert not can_dial(world.host("a"), world.host("b"), OTHER_PORT)
        assert dropped(world.host("b"))["refused"] > refused
        with open_stream(world.host("b"), world.host("a"), PORT) as stream:
            stream.wait_bytes(20_000)
            stream.close()
    return f"{' '.join(path)}; a port of b that is open to anyone is closed to a"


def whole_vpn(world: World) -> str:
    """A node of a's has a VPN server of b's for its way to everything; a web server that only b reaches sees b."""
    a, b, web = (world.host(name) for name in ("a", "b", "web"))
    web.run(["ip", "address", "add", f"{WEB}/32", "dev", "lo"])
    b.run(["ip", "route", "add", "default", "via", web.node.address()])
    web.start(["python", "-m", "http.server", "80", "--bind", WEB], ready=Ready(By.TCP, f"{WEB}:80"), name="web")
    manager(world.host("b-m"), "peers", "accept", "ay", "--export", SERVICE, "--export", "vpn")
    assert a.run(["curl", "-sS", "-m2", f"http://{WEB}/"], check=False).returncode != 0
    a.write({"vpn.yaml": 'servers: [b.bee]\ndns: leave\npolicy: {hops_at_least: 2}\nram: "${dir}/vpn"\n'})
    b.write({"vpn.yaml": 'open_to: ["cluster:${id a-m}"]\nram: "${dir}/vpn"\ncard: "${dir}/vpn-card"\n'})
    server = b.start(["meshnet-vpn-server", "run", "--config", "vpn.yaml"], ready=Ready(By.NOTIFY, within_s=30))
    client = a.start(["meshnet-vpn-client", "run", "--config", "vpn.yaml"])
    begin = time.monotonic()
    try:
        fetch = ["curl", "-sS", "-m2", "-o", "page", f"http://{WEB}/"]
        world.wait(lambda: a.run(fetch, check=False).returncode == 0, "the tunnel is up", 60, 0.3)
        took, seen = time.monotonic() - begin, web.job("web").log.read_text()
        assert f"{b.node.address('web')} - - " in seen, seen
        path = world.path("a", "b")
    finally:
        client.stop()
        a.run(["meshnet-vpn-client", "off", "--config", "vpn.yaml"])
        server.stop()
    world.wait_joined("a")
    return f"over {' '.join(path)} after {took:.1f} s; the web server saw {b.node.address('web')}, b's"


def opened_again(world: World) -> str:
    """With the node of one's own manager, whose WireGuard peer is the way to the manager too."""
    took = []
    for _ in range(3):
        begin = time.monotonic()
        with world.session_to("a", "a-m", OTHER_PORT):
            took.append(time.monotonic() - begin)
    assert max(took) < SLOW_S, took
    return f"three times, the slowest in {max(took):.2f} s"


def relay_killed(world: World, place: int) -> str:
    """The plug of a relay of the path is pulled while bytes flow."""
    with session(world), open_stream(world.host("b"), world.host("a"), PORT) as stream:
        stream.wait_bytes(20_000)
        killed = world.path("a", "b")[place]
        begin = time.monotonic()
        world.host(killed).power_off()
        try:
            gap = stream.wait_resumed(begin)
            assert killed not in world.path("a", "b")
            stream.close()
        finally:
            world.host(killed).power_on()
    world.wait_joined(killed)
    return f"{killed} off: {gap:.2f} s without a byte"


def parted(world: World) -> str:
    """With a session that stands: links, labels, peers of WireGuard, sessions and services are gone on both sides."""
    a_keys = {name: session_key(Identity(world.lab.residents[name].seed).node_id).hex() for name in ("a", "a-m")}
    with session(world):
        assert a_keys["a"] in peers(world.host("b"), "sky0")
        manager(world.host("b-m"), "unpeer", "ay")
        begin = time.monotonic()

        def is_gone() -> bool:
            return (
                not any(world.routes(name) for name in world.lab.topology.meshed)
                and "b-m" not in world.links_up("a-m")
                and "a-m" not in world.links_up("b-m")
                and a_keys["a"] not in peers(world.host("b"), "sky0")
                and a_keys["a-m"] not in peers(world.host("b-m"), "sky0")
                and not found(world, "a", SERVICE)
            )

        world.wait(is_gone, "everything of theirs is gone", 20)
        took = time.monotonic() - begin
        assert peer_row(world, "a-m").stage == "ended"
        sets = world.host("b").run(["nft", "list", "set", "inet", "skywire", "foreign"]).stdout
        assert world.host("a").session_address not in sets
        assert took <= GONE_WITHIN_S
    return f"gone from {len(world.lab.topology.meshed)} hosts after {took:.2f} s"


def test_asked_and_accepted(clusters: World) -> None:
    peered(clusters)


def test_a_service_is_used_across_the_border(clusters: World) -> None:
    used(clusters)


def test_a_vpn_client_uses_a_server_of_the_other_cluster(clusters: World) -> None:
    whole_vpn(clusters)


def test_a_session_with_the_own_manager_is_opened_again(clusters: World) -> None:
    opened_again(clusters)


@pytest.mark.parametrize("place", [1, 4])
def test_a_relay_is_killed(clusters: World, place: int) -> None:
    """Of a's side, and of b's."""
    relay_killed(clusters, place)


def test_nothing_is_left_once_they_part(clusters: World) -> None:
    parted(clusters)
