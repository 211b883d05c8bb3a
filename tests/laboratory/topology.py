"""Reads a topology file; graphs and sites come out as the hosts, switches, cables and routers they stand for.

    description: two hosts at a switch, and eight boards behind a router
    hosts: [a, b]
    switches: {internet: {subnet: 203.0.113.0/24, members: [a, b]}}
    cables: [{between: [a, b], rate: 10mbit, delay: 5ms, loss: 1%, back: {loss: 5%}}]
    routers: {gate: {inside: rack, outside: internet, nat: symmetric}}
    sites: {rack: {boards: 8, prefix: pi, nat: port-restricted, internet: internet}}
    graph: {kind: random, hosts: 20, prefix: n, degree: 3, seed: 7}
    mesh: stand-in, or node, or {managers: [a], links: [10.128.0.0/9], wires: [192.168.1.0/24], plain: true, apart: [b]}
          also {managers: [a-m, b-m], clusters: {a: ["a-*"], b: ["b-*"]}}: networks of their own
    programs: {name: {hosts: ["pi-*"], argv: [...], env: {...}, files: {...}, ready: notify}}
    shell: [viscript]
    hints: ["node links"]

`back` of a cable is the way from the second to the first, where it differs. A site's router is `<site>-gate`. Members
of a switch are patterns as of file names. With `mesh: node` the first host has the manager, unless others are named;
those `apart` have no node.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from pathlib import Path

import yaml

from tests.laboratory.graphs import Kind, edges
from tests.laboratory.model import Cable, Mesh, MeshKind, Nat, Quality, Router, Switch, Topology
from tests.laboratory.programs import read_programs
from tests.laboratory.reader import Reader
from tests.laboratory.templates import unknown_words
from viscript.launcher.yaml_nodes import compose, read_text

FOLDER = Path(__file__).with_name("topologies")
MAX_HOSTS = 200
TOP = {"description", "hosts", "switches", "cables", "routers", "sites", "graph", "mesh", "programs", "shell", "hints"}
QUALITY = {"rate", "delay", "loss"}


def known() -> dict[str, Path]:
    """The topologies that come with the laboratory, by name."""
    return {path.stem: path for path in sorted(FOLDER.glob("*.yaml"))}


def read_topology(path: Path) -> Topology:
    """Raises ConfigError, whose text begins with `file:line:`, and FileNotFoundError."""
    return parse_topology(read_text(path), str(path))


def parse_topology(text: str, source: str) -> Topology:
    return _Parser(Reader(source)).parse(compose(text, source))


class _Parser:
    """Gathers what stands in the file; every name is one thing only."""

    def __init__(self, read: Reader) -> None:
        self._read = read
        self._hosts: list[str] = []
        self._switches: dict[str, Switch] = {}
        self._routers: dict[str, Router] = {}
        self._cables: dict[frozenset[str], Cable] = {}
        self._members: list[tuple[str, yaml.Node]] = []

    def parse(self, root: yaml.Node) -> Topology:
        read = self._read
        top = read.mapping(root, "the file", TOP)
        steps = {
            "switches": self._take_switches,
            "hosts": self._take_hosts,
            "graph": self._take_graph,
            "sites": self._take_sites,
            "routers": self._take_routers,
            "cables": self._take_cables,
        }
        for key, take in steps.items():
            if key in top:
                take(top[key])
        for switch, member in self._members:
            self._join(switch, member)
        if not self._hosts:
            raise read.fail(root, "hosts", "at least one host: by hosts, graph or sites")
        if len(self._hosts) > MAX_HOSTS:
            raise read.fail(root, "hosts", f"at most {MAX_HOSTS} hosts")
        return Topology(
            description=read.text(top["description"], "description") if "description" in top else "",
            hosts=tuple(self._hosts),
            switches=tuple(self._switches.values()),
            cables=tuple(self._cables.values()),
            routers=tuple(self._routers.values()),
            mesh=self._read_mesh(top["mesh"]) if "mesh" in top else Mesh(),
            programs=read_programs(read, top["programs"], self._hosts) if "programs" in top else (),
            shell=read.words(top["shell"], "shell") if "shell" in top else ("sh",),
            hints=self._read_hints(top["hints"]) if "hints" in top else (),
        )

    def _new(self, node: yaml.Node, key: str, name: str) -> str:
        if name in self._hosts or name in self._switches or name in self._routers:
            raise self._read.fail(node, key, f"a name that is not taken, but there is another '{name}'")
        return name

    def _host(self, node: yaml.Node, key: str, name: str) -> str:
        self._hosts.append(self._new(node, key, name))
        return name

    def _take_hosts(self, node: yaml.Node) -> None:
        for item in self._read.items(node, "hosts"):
            self._host(item, "hosts", self._read.name(item, "hosts"))

    def _take_switches(self, node: yaml.Node) -> None:
        for name, entry in self._named(node, "switches"):
            keys = self._read.mapping(entry, f"switch '{name}'", {"subnet", "members"})
            subnet = self._read.subnet(keys["subnet"], "subnet") if "subnet" in keys else None
            self._switches[self._new(entry, "switches", name)] = Switch(name, subnet)
            self._members += [(name, item) for item in self._items(keys, "members")]

    def _join(self, switch: str, node: yaml.Node) -> None:
        """A member with a cable of its own in the file has its quality from there."""
        for name in self._matching(node, "members"):
            self._cables.setdefault(frozenset((name, switch)), Cable(name, switch))

    def _matching(self, node: yaml.Node, key: str) -> list[str]:
        pattern = self._read.text(node, key)
        found = [host for host in self._hosts if fnmatchcase(host, pattern)]
        if not found:
            raise self._read.fail(node, key, "the name of a host of this file, or a pattern of some")
        return found

    def _items(self, keys: dict[str, yaml.Node], key: str) -> list[yaml.Node]:
        return self._read.items(keys[key], key) if key in keys else []

    def _read_mesh(self, node: yaml.Node) -> Mesh:
        read = self._read
        if isinstance(node, yaml.ScalarNode):
            kind, keys = read.one_of(node, "mesh", MeshKind), {}
        else:
            kind, keys = (
                MeshKind.NODE,
                read.mapping(node, "mesh", {"managers", "apart", "clusters", "links", "wires", "plain"}),
            )
        if kind is not MeshKind.NODE:
            return Mesh(kind)
        named, apart = (
            [host for item in self._items(keys, key) for host in self._matching(item, key)]
            for key in ("managers", "apart")
        )
        clusters = self._read_clusters(keys["clusters"], named) if "clusters" in keys else ()
        return Mesh(
            kind,
            managers=tuple(host for host in self._hosts if host in named) or tuple(self._hosts[:1]),
            apart=tuple(host for host in self._hosts if host in apart),
            links=tuple(read.subnet(item, "links") for item in self._items(keys, "links")),
            wires=tuple(read.subnet(item, "wires") for item in self._items(keys, "wires")),
            plain="plain" in keys and read.boolean(keys["plain"], "plain"),
            clusters=clusters,
        )

    def _read_clusters(self, node: yaml.Node, managers: list[str]) -> tuple[tuple[str, ...], ...]:
        """Each has a manager, and no host is in two."""
        found = []
        for _, value in self._named(node, "clusters"):
            named = [host for item in self._read.items(value, "clusters") for host in self._matching(item, "clusters")]
            found.append(tuple(host for host in self._hosts if host in named))
        everyone = [host for cluster in found for host in cluster]
        if len(set(everyone)) < len(everyone) or any(not set(cluster) & set(managers) for cluster in found):
            raise self._read.fail(node, "clusters", "hosts of one cluster each, and one of `managers` in each")
        return tuple(found)

    def _read_hints(self, node: yaml.Node) -> tuple[str, ...]:
        hints = self._read.arguments(node, "hints")
        wrong = [word for text in hints for word in unknown_words(text, self._hosts)]
        if wrong:
            raise self._read.fail(node, "hints", f"only words that the lab fills in, not '${{{wrong[0]}}}'")
        return tuple(hints)

    def _named(self, node: yaml.Node, key: str) -> list[tuple[str, yaml.Node]]:
        found = []
        for name, entry in self._read.mapping(node, key, None).items():
            label = yaml.ScalarNode("tag:yaml.org,2002:str", name, entry.start_mark, entry.end_mark)
            found.append((self._read.name(label, key), entry))
        return found

    def _take_graph(self, node: yaml.Node) -> None:
        read = self._read
        keys = read.mapping(node, "graph", {"kind", "hosts", "prefix", "degree", "seed"} | QUALITY)
        for needed in ("kind", "hosts"):
            if needed not in keys:
                raise read.fail(node, needed, "one in a graph")
        kind = read.one_of(keys["kind"], "kind", Kind)
        count = read.whole(keys["hosts"], "hosts", 2, MAX_HOSTS)
        prefix = read.name(keys["prefix"], "prefix") if "prefix" in keys else "n"
        degree = read.whole(keys["degree"], "degree", 2, 20) if "degree" in keys else 3
        seed = read.whole(keys["seed"], "seed", 0, 10**9) if "seed" in keys else 1
        names = [self._host(node, "graph", f"{prefix}-{number}") for number in range(1, count + 1)]
        quality = self._quality(keys, Quality())
        for left, right in edges(kind, count, degree, seed):
            self._cable(node, Cable(names[left], names[right], quality, quality))

    def _take_sites(self, node: yaml.Node) -> None:
        read = self._read
        known_keys = {"boards", "prefix", "nat", "internet", "subnet"} | QUALITY
        for name, entry in self._named(node, "sites"):
            keys = read.mapping(entry, f"site '{name}'", known_keys)
            for needed in ("boards", "internet"):
                if needed not in keys:
                    raise read.fail(entry, needed, f"one for site '{name}'")
            outside = self._switch(keys["internet"], "internet")
            subnet = read.subnet(keys["subnet"], "subnet") if "subnet" in keys else None
            self._switches[self._new(entry, "sites", name)] = Switch(name, subnet)
            prefix = read.name(keys["prefix"], "prefix") if "prefix" in keys else name
            quality = self._quality(keys, Quality())
            for number in range(1, read.whole(keys["boards"], "boards", 1, 64) + 1):
                board = self._host(entry, "sites", f"{prefix}-{number}")
                self._cable(entry, Cable(board, name, quality, quality))
            nat = read.one_of(keys["nat"], "nat", Nat) if "nat" in keys else Nat.PORT_RESTRICTED
            self._router(entry, Router(f"{name}-gate", name, outside, nat))

    def _take_routers(self, node: yaml.Node) -> None:
        for name, entry in self._named(node, "routers"):
            keys = self._read.mapping(entry, f"router '{name}'", {"inside", "outside", "nat"})
            for needed in ("inside", "outside", "nat"):
                if needed not in keys:
                    raise self._read.fail(entry, needed, f"one for router '{name}'")
            inside, outside = (self._switch(keys[key], key) for key in ("inside", "outside"))
            self._router(entry, Router(name, inside, outside, self._read.one_of(keys["nat"], "nat", Nat)))

    def _router(self, node: yaml.Node, router: Router) -> None:
        if len(router.name) > 15:
            raise self._read.fail(node, "sites", "a site's name of at most 10 letters")
        if router.inside == router.outside:
            raise self._read.fail(node, "outside", "another switch than inside")
        if any(other.inside == router.inside for other in self._routers.values()):
            raise self._read.fail(node, "inside", f"a switch that has no way out yet; '{router.inside}' has one")
        self._routers[self._new(node, "routers", router.name)] = router
        for switch in (router.outside, router.inside):
            self._cable(node, Cable(router.name, switch))

    def _switch(self, node: yaml.Node, key: str) -> str:
        name = self._read.name(node, key)
        if name not in self._switches:
            raise self._read.fail(node, key, f"a switch of this file ({', '.join(self._switches) or 'there is none'})")
        return name

    def _take_cables(self, node: yaml.Node) -> None:
        read = self._read
        for item in read.items(node, "cables"):
            keys = read.mapping(item, "a cable", {"between", "back"} | QUALITY)
            ends = self._items(keys, "between")
            if len(ends) != 2:
                raise read.fail(item, "between", "two names")
            left, right = (self._end(end) for end in ends)
            there = self._quality(keys, Quality())
            back = there
            if "back" in keys:
                back = self._quality(read.mapping(keys["back"], "back", QUALITY), there)
            if left in self._switches:
                left, right, there, back = right, left, back, there
            if left in self._switches or left == right:
                raise read.fail(item, "between", "two hosts, or a host and a switch")
            self._cable(item, Cable(left, right, there, back), again=right in self._switches)

    def _end(self, node: yaml.Node) -> str:
        name = self._read.name(node, "between")
        if name not in (*self._hosts, *self._switches, *self._routers):
            raise self._read.fail(node, "between", "the name of a host or switch of this file")
        return name

    def _cable(self, node: yaml.Node, cable: Cable, *, again: bool = False) -> None:
        """`again`: a cable to a switch that is there already only gets another quality."""
        ends = frozenset((cable.left, cable.right))
        if ends in self._cables and not again:
            raise self._read.fail(node, "cables", f"one cable between '{cable.left}' and '{cable.right}'")
        self._cables[ends] = cable

    def _quality(self, keys: dict[str, yaml.Node], given: Quality) -> Quality:
        read = self._read
        return Quality(
            rate_bits=read.bits(keys["rate"], "rate") if "rate" in keys else given.rate_bits,
            delay_ms=read.milliseconds(keys["delay"], "delay") if "delay" in keys else given.delay_ms,
            loss=read.share(keys["loss"], "loss") if "loss" in keys else given.loss,
        )
