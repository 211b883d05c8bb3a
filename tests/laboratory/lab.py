"""A topology, running: `with run_lab(topology, scratch) as lab`. Brings all hosts up at once and takes everything away
at the end, also after an error; what is left by a lab that was killed, its warden removes, or else the next lab.
"""

from __future__ import annotations

import contextlib
import itertools
import secrets
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.laboratory import commands, machine
from tests.laboratory.cable import CableHandle
from tests.laboratory.errors import LabError, NotReadyError
from tests.laboratory.host import TREE, Host
from tests.laboratory.joined import not_connected, not_joined, not_linked, not_named
from tests.laboratory.layout import Network, Role, lay_out
from tests.laboratory.mesh import CLUSTER_SECRET, VISCRIPT_SERVICE, World, files_of, programs_of
from tests.laboratory.model import MeshKind, Program, Quality, Topology
from tests.laboratory.residents import Resident, draw_residents
from tests.laboratory.sweep import make_name, sweep, sweep_lab

STAND_IN = "fd53 addresses are on a switch that the lab lays beside the network; it stands in for the mesh"
JOIN_WITHIN_S = 60.0
PAUSE_S = 0.1
Tell = Callable[[str], None]
_numbers = itertools.count(1)


class Lab:
    """`name` begins the names of its namespaces, `notes` is what a person should know of it."""

    def __init__(self, topology: Topology, scratch: Path) -> None:
        self.topology = topology
        self.network: Network = lay_out(topology)
        self.name = make_name(next(_numbers))
        self.notes: list[str] = [STAND_IN] if topology.stand_in else []
        is_real = topology.mesh.kind is MeshKind.NODE
        self.residents: dict[str, Resident] = draw_residents(topology.meshed) if is_real else {}
        self.folder = scratch
        self._hosts: dict[str, Host] = {}
        self._cables: dict[frozenset[str], CableHandle] = {}
        self._warden: subprocess.Popen[bytes] | None = None

    def host(self, name: str) -> Host:
        """A host or router."""
        if name not in self._hosts:
            raise LabError(f"no host '{name}' in this lab (there are: {', '.join(self._hosts)})")
        return self._hosts[name]

    @property
    def hosts(self) -> list[Host]:
        """Without the routers, in the file's order."""
        return [self._hosts[name] for name in self.topology.hosts]

    def cable(self, left: str, right: str) -> CableHandle:
        """Between two hosts, or a host and a switch; the order does not matter."""
        found = self._cables.get(frozenset((left, right)))
        if found is None:
            raise LabError(f"no cable between '{left}' and '{right}' in this lab")
        return found

    def namespace(self, node: str) -> str:
        return f"{self.name}.{node}"

    @property
    def warden_pid(self) -> int:
        assert self._warden is not None
        return self._warden.pid

    # up and down

    def open(self) -> None:
        """The network, without programs."""
        words = [sys.executable, "-S", "-m", "tests.laboratory.warden", self.name]
        self._warden = subprocess.Popen(words, stdin=subprocess.PIPE, cwd=TREE, start_new_session=True)
        self.folder.mkdir(parents=True, exist_ok=True)
        bin_folder = make_commands(self.folder / "bin")
        machine.ip(commands.lay_cables(self.network, self.namespace))
        for node in self.network.nodes.values():
            if node.role is not Role.SWITCH:
                place = self.namespace(node.name)
                self._hosts[node.name] = Host(
                    node, place, self.network, self.folder / node.name, bin_folder, self.residents
                )
                self._hosts[node.name].open()
        self._settle_mesh()
        for host in self._hosts.values():
            host.wait_open()
        nodes = self.network.nodes.values()
        machine.ip_everywhere({self.namespace(node.name): commands.bring_up(node) for node in nodes})
        machine.settle({self.namespace(node.name): [port.device for port in node.ports] for node in nodes})
        for node in nodes:
            if node.masks:
                machine.nft(commands.mask(*node.masks), self.namespace(node.name))
        self._shape_cables()

    def start_programs(self, tell: Tell, *, keep_going: bool = False) -> None:
        """Those of the topology file. With `keep_going` one that is not ready is told of, and the rest go on."""
        meshed = programs_of(self.topology) if self.residents else ()
        for program in meshed:
            self._start(program, tell, keep_going=keep_going)
        if meshed:
            self._await_mesh(tell, keep_going=keep_going)
        for program in self.topology.programs:
            self._start(program, tell, keep_going=keep_going)

    def close(self) -> None:
        """Whatever state it is in."""
        sweep_lab(self.name)
        for host in self._hosts.values():
            host.close()
        if self._warden is not None:
            self._warden.communicate(timeout=60)

    # waiting and measuring

    def memory_bytes(self) -> int:
        """What all programs on all hosts hold in RAM, with shared pages counted once."""
        return sum(proportional_bytes(pid) for host in self._hosts.values() for pid in host.pids())

    def wait_until(self, is_so: Callable[[], object], what: str, timeout_s: float = 30, pause_s: float = 0.05) -> None:
        """For what nothing in this process can be told of: asks again until it is so."""
        deadline = time.monotonic() + timeout_s
        while not is_so():
            if time.monotonic() > deadline:
                raise NotReadyError(f"not so in {timeout_s:g} s: {what}")
            time.sleep(pause_s)

    def _settle_mesh(self) -> None:
        """The files of node, manager and viscript, where the mesh is the real one."""
        world = World(self.topology, self.network, self.residents)
        drawn = {cluster: secrets.token_bytes(32) for cluster in self.topology.clusters}
        for name in self.residents:
            self._hosts[name].write(files_of(world, name))
        for name in self.topology.mesh.managers:
            file = self._hosts[name].folder / CLUSTER_SECRET
            file.parent.mkdir(mode=0o700)
            file.touch(mode=0o600)
            file.write_bytes(drawn[self.topology.cluster_of(name)])

    def _shape_cables(self) -> None:
        has_netem = machine.has_netem(self.namespace(self.topology.hosts[0]))
        delayed = 0
        for wire in self.network.wires:
            handle = CableHandle(wire, self.network, self.namespace, has_netem=has_netem)
            self._cables[frozenset(handle.ends)] = handle
            for _, to, wanted in commands.directions(wire):
                delayed += bool(wanted.delay_ms and not has_netem)
                delay_ms = wanted.delay_ms if has_netem else 0.0
                handle.apply(to.node, Quality(wanted.rate_bits, delay_ms, wanted.loss))
        if delayed:
            self.notes.append(f"{delayed} delays are left out: this kernel has no netem")

    def _start(self, program: Program, tell: Tell, *, keep_going: bool) -> None:
        begun = [(self._hosts[name], self._hosts[name].begin(program)) for name in program.hosts]
        for number, (host, job) in enumerate(begun, 1):
            try:
                host.finish(program, job)
                tell(f"{program.name}: ready on {host.name} ({number} of {len(begun)})")
            except NotReadyError as error:
                if not keep_going:
                    raise NotReadyError(f"on '{host.name}' {error}") from error
                self.notes.append(f"on '{host.name}' {error}")

    def _await_mesh(self, tell: Tell, *, keep_going: bool) -> None:
        """Until every node has joined and goes by its host's name. Where viscript runs, the first commands the rest."""
        hosts = [self._hosts[name] for name in self.topology.meshed]
        for host in hosts:
            self._await(lambda host=host: not_joined(host), f"'{host.name}' does not join", keep_going)  # type: ignore[misc]
        tell(f"mesh: {len(hosts)} nodes have joined")
        for cluster in self.topology.clusters:
            self._await_cluster([self._hosts[name] for name in cluster], tell, keep_going=keep_going)

    def _await_cluster(self, hosts: list[Host], tell: Tell, *, keep_going: bool) -> None:
        manager = self._hosts[self.topology.managers_of(hosts[0].name)[0]]
        for host in hosts:
            self._await(lambda host=host: not_named(manager, host), f"'{host.name}' gets no name", keep_going)  # type: ignore[misc]
        if self.topology.mesh.plain:
            return
        self._await(lambda: not_linked(manager, hosts), "the links are not up", keep_going)
        for host in hosts[1:]:
            self._await(
                lambda host=host: not_connected(hosts[0], host, VISCRIPT_SERVICE),  # type: ignore[misc]
                f"'{host.name}' is not commanded",
                keep_going,
            )
        tell(f"mesh: {hosts[0].name} commands {len(hosts) - 1} boards")

    def _await(self, why_not: Callable[[], str], what: str, keep_going: bool) -> None:
        """Until there is no reason why not. With `keep_going` the last one is noted."""
        deadline = time.monotonic() + JOIN_WITHIN_S
        while (why := why_not()) and time.monotonic() < deadline:
            time.sleep(PAUSE_S)
        if why and not keep_going:
            raise NotReadyError(f"{what}: {why}")
        if why:
            self.notes.append(f"{what}: {why}")


@contextlib.contextmanager
def run_lab(
    topology: Topology, scratch: Path, *, tell: Tell = lambda _: None, keep_going: bool = False
) -> Iterator[Lab]:
    """Raises LabError where it cannot be brought up. `scratch` keeps each host's files and logs afterwards."""
    machine.check_machine(meshed=topology.mesh.kind is MeshKind.NODE)
    swept = sweep()
    if swept:
        tell(f"removed {len(swept)} namespaces that a killed lab had left")
    lab = Lab(topology, scratch)
    try:
        lab.open()
        tell(f"network: {len(topology.hosts)} hosts, {len(lab.network.wires)} cables")
        lab.start_programs(tell, keep_going=keep_going)
        yield lab
    finally:
        lab.close()


def make_commands(folder: Path) -> Path:
    """The project's commands as programs that run from the tree, for the hosts' PATH."""
    folder.mkdir(parents=True, exist_ok=True)
    project = tomllib.loads((TREE / "pyproject.toml").read_text())["project"]
    for name, target in project["scripts"].items():
        module = target.partition(":")[0].removesuffix(".__main__")
        file = folder / name
        file.write_text(f'#!/bin/sh\nexec {sys.executable} -m {module} "$@"\n')
        file.chmod(0o755)
    return folder


def proportional_bytes(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))
