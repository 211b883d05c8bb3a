"""A laboratory whose mesh is the real one, with the questions that the tests put to it. What is waited for is asked of
the nodes again and again, since no process here can be told of it.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import msgspec

from services.manager.api_words import GetLinks as ManagersLinks
from services.manager.api_words import Links as KnownLinks
from services.manager.client import ask
from services.manager.errors import ManagerAwayError, ManagerError
from services.manager.routes.policy import Policy
from services.node.api_words import (
    Close,
    Connect,
    Connected,
    Done,
    GetLinks,
    GetMeter,
    GetRoutes,
    GetSessions,
    GetStatus,
    Links,
    LinkState,
    Metered,
    PathState,
    Routes,
    RouteState,
    Sessions,
    SessionState,
    Status,
)
from services.node.errors import NodeError
from tests.laboratory.errors import LabError
from tests.laboratory.host import Host
from tests.laboratory.joined import manager_socket, node_socket
from tests.laboratory.lab import Lab, run_lab
from tests.laboratory.mesh import programs_of
from tests.laboratory.model import Topology
from tests.mesh.node_socket import NodeSocket
from tests.mesh.stream import Stream, open_stream

UP_WITHIN_S = 60.0
OPEN_WITHIN_S = 40.0
T = TypeVar("T", bound=msgspec.Struct)
RELAYED, TWO_HOPS = Policy(hops_at_least=2), Policy(hops_at_least=2, hops_at_most=2)


class World:
    """Hosts are named; node ids are looked up."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab

    def host(self, name: str) -> Host:
        return self.lab.host(name)

    def node(self, name: str) -> NodeSocket:
        return NodeSocket(node_socket(self.host(name)))

    def id(self, name: str) -> str:
        return self.lab.residents[name].node_id

    def name(self, node_id: str | None) -> str:
        """Of the host with that node id."""
        return next((name for name, who in self.lab.residents.items() if who.node_id == node_id), f"?{node_id}")

    # what is so

    def status(self, name: str) -> Status:
        return self.node(name).ask(GetStatus(), Status)

    def links(self, name: str) -> tuple[LinkState, ...]:
        return self.node(name).ask(GetLinks(), Links).links

    def links_up(self, name: str) -> set[str]:
        """The names of those to whom it has links that are up."""
        return {self.name(link.node_id) for link in self.links(name) if link.is_up}

    def routes(self, name: str) -> tuple[RouteState, ...]:
        """The labels it holds."""
        return self.node(name).ask(GetRoutes(), Routes).routes

    def meter(self, name: str) -> Metered:
        return self.node(name).ask(GetMeter(), Metered)

    def session(self, at: str, to: str) -> SessionState:
        found = self.node(at).ask(GetSessions(), Sessions).sessions
        return next(session for session in found if session.node_id == self.id(to))

    def path(self, at: str, to: str) -> tuple[str, ...]:
        """The hosts of the active path of a session; () for the direct one."""
        return self.names(next(path for path in self.session(at, to).paths if path.is_active))

    def standbys(self, at: str, to: str) -> list[tuple[str, ...]]:
        """Those that are up."""
        return [self.names(path) for path in self.session(at, to).paths if path.is_up and not path.is_active]

    def names(self, path: PathState) -> tuple[str, ...]:
        return tuple(self.name(node) for node in path.nodes) if path.route else ()

    # waiting

    def wait(
        self, is_so: Callable[[], object], what: str, within_s: float = UP_WITHIN_S, pause_s: float = 0.05
    ) -> float:
        """Until it is so; an error of a node's is not yet. Returns the seconds it took."""
        begin = time.monotonic()
        last: list[str] = [""]

        def look() -> object:
            try:
                return is_so()
            except (NodeError, ManagerError, LabError, OSError, StopIteration) as error:
                last[0] = f" ({type(error).__name__}: {error})"
                return False

        try:
            self.lab.wait_until(look, what, within_s, pause_s)
        except Exception as error:
            raise AssertionError(f"{error}{last[0]}") from None
        return time.monotonic() - begin

    def wait_joined(self, *names: str) -> None:
        for name in names or self.lab.topology.meshed:
            self.wait(lambda name=name: self.status(name).is_connected, f"'{name}' has joined")  # type: ignore[misc]

    def wait_cables(self) -> None:
        """Until both ends of each cable between two hosts say that their link is up, and a manager knows it."""
        ends = [(wire.left.node, wire.right.node) for wire in self.lab.network.wires]
        inside = [end for end in ends if any(set(end) <= set(cluster) for cluster in self.lab.topology.clusters)]
        wanted = {way for end in inside for way in (end, end[::-1])}
        for here, there in wanted:
            self.wait(lambda: there in self.links_up(here), f"'{here}' has a link to '{there}'")  # noqa: B023 (at once)
        self.wait(lambda: wanted <= self.known_links(), f"a manager knows the links {wanted}")

    def known_links(self) -> set[tuple[str, str]]:
        """As the managers' graph has them."""
        firsts = [self.lab.topology.managers_of(cluster[0])[0] for cluster in self.lab.topology.clusters[1:]]
        found = [*self.ask_manager(ManagersLinks(), KnownLinks).links]
        for name in firsts:
            found += ask(ManagersLinks(), KnownLinks, manager_socket(self.host(name))).links
        return {(self.name(link.src), self.name(link.dst)) for link in found if link.is_up}

    def ask_manager(self, request: msgspec.Struct, kind: type[T]) -> T:
        """The first that answers. Raises ManagerError."""
        *others, last = self.lab.topology.mesh.managers
        for name in others:
            with contextlib.suppress(ManagerAwayError):
                return ask(request, kind, manager_socket(self.host(name)))
        return ask(request, kind, manager_socket(self.host(last)))

    def start_again(self, name: str) -> None:
        """What of node and manager does not run there; returns once they say that they are ready."""
        host = self.host(name)
        for program in programs_of(self.lab.topology):
            if name in program.hosts and not host.job(program.name).is_running:
                host.finish(program, host.begin(program))

    # sessions

    def connect(self, at: str, to: str, service: str, policy: Policy = RELAYED) -> Connected:
        request = Connect(self.id(to), service, policy)
        return self.node(at).ask(request, Connected, within_s=OPEN_WITHIN_S)

    def close(self, at: str, to: str) -> None:
        self.node(at).ask(Close(self.id(to)), Done)

    @contextlib.contextmanager
    def session_to(
        self, at: str, to: str, port: int, policy: Policy = RELAYED, *, standby: bool = False
    ) -> Iterator[Connected]:
        """`to` publishes a service for `at`, which connects; both end with the context. With `standby`, it is entered
        once a second path is up."""
        service = f"test-{port}"
        with self.node(to).publish(service, port, self.id(at)):
            connected = self.connect_once_offered(at, to, service, policy)
            try:
                if standby:
                    self.wait(lambda: self.standbys(at, to), f"'{at}' has a second path to '{to}'")
                yield connected
            finally:
                with contextlib.suppress(NodeError, OSError):
                    self.close(at, to)

    def connect_once_offered(self, at: str, to: str, service: str, policy: Policy = RELAYED) -> Connected:
        """A service is known to the managers a moment after it is published."""
        found: list[Connected] = []

        def connect() -> bool:
            found.append(self.connect(at, to, service, policy))
            return True

        self.wait(connect, f"'{at}' is connected to '{service}' of '{to}'", OPEN_WITHIN_S, 1.0)
        return found[0]

    @contextlib.contextmanager
    def stream(
        self, at: str, to: str, port: int, policy: Policy = RELAYED, *, download: bool = True, paced: bool = True
    ) -> Iterator[Stream]:
        """A session with a second path, and a TCP connection in it that flows."""
        with self.session_to(at, to, port, policy, standby=True):  # noqa: SIM117 (the stream ends first)
            with open_stream(self.host(to), self.host(at), port, download=download, paced=paced) as stream:
                stream.wait_bytes(20_000)
                yield stream


@contextlib.contextmanager
def run_world(topology: Topology, scratch: Path, tell: Callable[[str], None] = lambda _: None) -> Iterator[World]:
    """Entered once every node has joined and every cable carries a link."""
    with run_lab(topology, scratch, tell=tell) as lab:
        world = World(lab)
        world.wait_joined()
        world.wait_cables()
        yield world
