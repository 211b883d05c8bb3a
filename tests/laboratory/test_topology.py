"""Topology files: what stands in them comes out, and what is wrong is named with its line. No network is made."""

from __future__ import annotations

from ipaddress import IPv4Network

import pytest
import yaml

from services.addresses import session_address
from services.keys import NodeId
from tests.laboratory.errors import TopologyError
from tests.laboratory.graphs import Kind, edges
from tests.laboratory.layout import Role, Route, lay_out
from tests.laboratory.mesh import World, files_of, programs_of
from tests.laboratory.model import By, Cable, Mesh, MeshKind, Nat, Quality
from tests.laboratory.residents import draw_residents
from tests.laboratory.templates import Facts, fill
from tests.laboratory.topology import known, parse_topology, read_topology
from viscript.errors import ConfigError

GOOD = """
description: all there is
hosts: [a, b]
switches: {net: {subnet: 203.0.113.0/24, members: [a]}}
sites: {rack: {boards: 2, prefix: pi, nat: symmetric, internet: net, rate: 1gbit}}
cables:
  - {between: [a, b], rate: 10mbit, delay: 5ms, loss: 1%, back: {loss: 50%}}
  - {between: [net, rack-gate], rate: 8kbit}
mesh: stand-in
programs:
  sleeper: {hosts: ["pi-*"], argv: [sleep, 60], env: {X: "${mesh}"}, ready: {line: up}, within: 5s}
"""

REAL = """
graph: {kind: line, hosts: 3, prefix: n}
switches: {control: {subnet: 203.0.113.0/24, members: ["n-*"]}}
mesh: {managers: [n-3, n-1], links: [10.128.0.0/9], plain: true}
"""


@pytest.mark.parametrize("name", known())
def test_what_comes_along_can_be_laid_out(name: str) -> None:
    topology = read_topology(known()[name])
    network = lay_out(topology)
    assert topology.description
    assert list(network.nodes)[: len(topology.hosts)] == list(topology.hosts)
    devices = [(port.node, port.device) for wire in network.wires for port in (wire.left, wire.right)]
    assert len(set(devices)) == len(devices)


def test_a_whole_file() -> None:
    topology = parse_topology(GOOD, "f")
    assert topology.hosts == ("a", "b", "pi-1", "pi-2")
    assert topology.routers[0].nat is Nat.SYMMETRIC
    cables = {(cable.left, cable.right): cable for cable in topology.cables}
    assert cables["a", "b"].there == Quality(10_000_000, 5.0, 0.01)
    assert cables["a", "b"].back == Quality(10_000_000, 5.0, 0.5)
    assert cables["rack-gate", "net"] == Cable("rack-gate", "net", Quality(8000), Quality(8000))
    assert cables["pi-1", "rack"].there.rate_bits == 10**9
    assert topology.programs[0].hosts == ("pi-1", "pi-2")
    assert topology.programs[0].ready.by is By.LINE
    assert topology.programs[0].ready.within_s == 5


def test_addresses_and_ways_out() -> None:
    network = lay_out(parse_topology(GOOD, "f"))
    assert network.nodes["pi-2"].address() == "10.0.0.2"
    assert network.nodes["pi-2"].address("mesh") == "fd53::4"
    assert network.nodes["pi-2"].routes == (Route("default", "10.0.0.254"),)
    assert network.nodes["rack-gate"].masks == (Nat.SYMMETRIC, "net")
    assert network.nodes["rack-gate"].address("net") == "203.0.113.1"
    assert network.nodes["net"].role is Role.SWITCH
    assert network.nodes["a"].routes == ()


def test_a_router_without_nat_is_a_way_in() -> None:
    network = lay_out(parse_topology(GOOD.replace("symmetric", "none"), "f"))
    assert network.nodes["rack-gate"].masks is None
    assert network.nodes["a"].routes == (Route("10.0.0.0/24", "203.0.113.1"),)
    second = "hosts: [b]\nswitches: {own: {subnet: 10.0.0.0/16, members: [a, b]}, net:"
    shadowed = GOOD.replace("symmetric", "none").replace("hosts: [a, b]\nswitches: {net:", second)
    shadowed = shadowed.replace("hosts: [b]", "hosts: [a, b]")
    assert lay_out(parse_topology(shadowed, "f")).nodes["a"].routes == ()


def test_the_real_mesh_on_every_host() -> None:
    topology = parse_topology(REAL, "f")
    assert topology.mesh == Mesh(MeshKind.NODE, ("n-1", "n-3"), (IPv4Network("10.128.0.0/9"),), plain=True)
    world = World(topology, lay_out(topology), draw_residents(topology.hosts))
    files = {host: files_of(world, host) for host in topology.hosts}
    assert {host for host in files if "manager.yaml" in files[host]} == {"n-1", "n-3"}
    ids = {host: resident.node_id for host, resident in world.residents.items()}
    node = yaml.safe_load(files["n-2"]["node.yaml"])
    assert node["managers"] == [
        {"at": "203.0.113.1:7997", "id": ids["n-1"]},
        {"at": "203.0.113.3:7997", "id": ids["n-3"]},
    ]
    assert yaml.safe_load(files["n-3"]["manager.yaml"])["others"] == [{"id": ids["n-1"], "at": "203.0.113.1:7997"}]
    assert [program.hosts for program in programs_of(topology)] == [topology.hosts, ("n-1", "n-3")]


def test_the_first_host_has_the_manager_and_viscript_runs_it() -> None:
    topology = parse_topology(REAL[: REAL.index("mesh:")] + "mesh: node", "f")
    world = World(topology, lay_out(topology), draw_residents(topology.hosts))
    assert topology.mesh.managers == ("n-1",)
    assert [program.name for program in programs_of(topology)] == ["viscript"]
    apps = {host: yaml.safe_load(files_of(world, host)["config.yaml"])["apps"] for host in topology.hosts}
    assert [host for host in apps if "manager" in apps[host]] == ["n-1"]
    cluster = yaml.safe_load(files_of(world, "n-2")["cluster.yaml"])
    assert cluster["operators"] == [world.residents["n-1"].address]
    assert cluster["nodes"]["n-2"] == cluster["listen"] == f"[{world.residents['n-2'].address}]:7998"


def test_every_resident_is_another() -> None:
    residents = draw_residents(["a", "b"])
    assert residents["a"].node_id != residents["b"].node_id
    assert residents["a"].address == str(session_address(NodeId(residents["a"].node_id)))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("hosts: [a]\nhost: []", "f:2: unknown key 'host'"),
        ("hosts: [a,\n  a]", "f:2: key 'hosts': expected a name that is not taken"),
        ("hosts: [lo]", "f:1: key 'hosts': expected a name"),
        ("hosts: [way-too-long-a-name]", "f:1: key 'hosts': expected a name"),
        ("description: x", "f:1: key 'hosts': expected at least one host"),
        ("hosts: [a]\ncables: [{between: [a, b]}]", "f:2: key 'between': expected the name of a host or switch"),
        ("hosts: [a]\ncables: [{between: [a, a]}]", "f:2: key 'between': expected two hosts"),
        ("hosts: [a, b]\ncables:\n- {between: [a, b]}\n- {between: [b, a]}", "f:4: key 'cables': expected one cable"),
        ("hosts: [a, b]\ncables:\n- {between: [a, b], loss: 101%}", "f:3: key 'loss': expected a share"),
        ("hosts: [a, b]\ncables:\n- {between: [a, b], rate: 5}", "f:3: key 'rate': expected a rate"),
        ("hosts: [a, b]\ncables:\n- {between: [a, b], delay: 5}", "f:3: key 'delay': expected milliseconds"),
        ("switches: {s: {subnet: 10.0.0.1/24}}\nhosts: [a]", "f:1: key 'subnet': expected an IPv4 network"),
        ("hosts: [a]\nrouters: {r: {inside: x, outside: y, nat: none}}", "f:2: key 'inside': expected a switch"),
        ("switches: {s: {}}\nsites: {r: {boards: 2, nat: half, internet: s}}", "f:2: key 'nat': expected none or"),
        ("graph: {kind: heap, hosts: 3}", "f:1: key 'kind': expected line or ring"),
        ("graph: {kind: line, hosts: 1}", "f:1: key 'hosts': expected a whole number from 2 to 200"),
        ("hosts: [a]\nmesh: maybe", "f:2: key 'mesh': expected none or stand-in or node"),
        ("hosts: [a]\nmesh: {managers: [b]}", "f:2: key 'managers': expected the name of a host"),
        ("hosts: [a]\nmesh: {links: [10.0.0.1/8]}", "f:2: key 'links': expected an IPv4 network"),
        ("hosts: [a]\nhints: ['${id b}']", "f:2: key 'hints': expected only words"),
        ("hosts: [a]\nprograms:\n  p: {argv: []}", "f:3: key 'argv': expected a list that begins with a program"),
        ("hosts: [a]\nprograms:\n  p: {argv: [x], hosts: [b]}", "f:3: key 'hosts': expected a pattern that fits"),
        ("hosts: [a]\nprograms:\n  p: {argv: [x, '${mesh b}']}", "f:3: key 'argv': expected only words"),
        ("hosts: [a]\nprograms:\n  p: {argv: [x], files: {../x: y}}", "f:3: key 'files': expected paths inside"),
        ("hosts: [a]\nprograms:\n  p: {argv: [x], ready: line}", "f:3: key 'ready': expected start, notify, end"),
    ],
)
def test_what_is_wrong_is_named(text: str, told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_topology(text, "f")
    assert str(caught.value).startswith(told)


def test_addresses_that_do_not_go_together() -> None:
    small = "hosts: [a, b, c, d, e, f, g]\nswitches: {s: {subnet: 10.9.9.0/29, members: [a, b, c, d, e, f, g]}}"
    with pytest.raises(TopologyError, match="is full"):
        lay_out(parse_topology(small, "f"))
    twice = "hosts: [a]\nswitches: {s: {subnet: 10.9.0.0/16, members: [a]}, t: {subnet: 10.9.9.0/24, members: [a]}}"
    with pytest.raises(TopologyError, match="'a' is in"):
        lay_out(parse_topology(twice, "f"))


def test_graphs() -> None:
    assert edges(Kind.LINE, 3, 0, 0) == [(0, 1), (1, 2)]
    assert edges(Kind.RING, 3, 0, 0) == [(0, 1), (1, 2), (0, 2)]
    assert edges(Kind.RING, 2, 0, 0) == [(0, 1)]
    assert edges(Kind.STAR, 3, 0, 0) == [(0, 1), (0, 2)]


@pytest.mark.parametrize("seed", range(20))
def test_a_random_graph_hangs_together_and_comes_again(seed: int) -> None:
    found = edges(Kind.RANDOM, 30, 4, seed)
    assert found == edges(Kind.RANDOM, 30, 4, seed)
    assert found != edges(Kind.RANDOM, 30, 4, seed + 1)
    assert len(set(found)) == len(found) == 60
    reached, border = {0}, [0]
    while border:
        here = border.pop()
        for edge in found:
            if here in edge and (there := sum(edge) - here) not in reached:
                reached.add(there)
                border.append(there)
    assert reached == set(range(30))


def test_words_are_filled_in() -> None:
    facts = Facts("b", {"dir": "/d"}, {"a": "10.0.0.1", "b": "10.0.0.2"}, {"a": "fd53::1", "b": "fd53::2"}, {"a": "12"})
    assert fill("${host} ${dir} ${address} ${address a} ${mesh first} $x {y}", facts) == (
        "b /d 10.0.0.2 10.0.0.1 fd53::1 $x {y}"
    )
    assert fill("${id a} ${id first}", facts) == "12 12"
    assert fill("${nodes 7}", facts) == '{"a": "[fd53::1]:7", "b": "[fd53::2]:7"}'
