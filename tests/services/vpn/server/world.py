"""A server with two uplinks, two clients, and a web server beyond, in namespaces:

                     router one ── web 203.0.113.80, 2001:db8:9::80
clients ── router one ┤
                      └ server ── router two ── web
"""

from __future__ import annotations

import contextlib
import json
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from services.keys import NodeId
from services.vpn.server.api import ask
from services.vpn.server.api_words import Clients, ClientState, GetClients, GetStatus, Status
from tests.services.kernel.hosts import DEADLINE_S, ROOT, Host, cable, ip, joined
from tests.services.node.world import Manager, Node, start

WEB, WEB6, RESOLVER, PRIVATE = "203.0.113.80", "2001:db8:9::80", "203.0.113.53", "192.168.77.1"
NODE_YAML = 'managers: [{at: "10.0.1.1:7997"}]\nlink_networks: [10.0.0.0/16]'
PORT = 4443


class Server:
    """The program, on the server's host."""

    def __init__(self, node: Node, settings: str = "") -> None:
        self.node, self.folder = node, node.folder / "vpn"
        self.folder.mkdir(exist_ok=True)
        self.log = self.folder / "log"
        self.config = self.folder / "vpn-server.yaml"
        self._process: subprocess.Popen[bytes] | None = None
        self.set(settings)

    def set(self, settings: str) -> None:
        lines = [f"node: {self.node.folder}/node.sock", f"ram: {self.folder}/ram", f"card: {self.folder}/card"]
        self.config.write_text("\n".join([*lines, f"resolvers: [{RESOLVER}]", settings, ""]))

    def start(self) -> None:
        words = [sys.executable, "-m", "services.vpn.server", "run", "--config", str(self.config)]
        self._process = start(self.node.host, words, self.log)

    def end(self, number: signal.Signals) -> int:
        assert self._process is not None
        self._process.send_signal(number)
        return self._process.wait(DEADLINE_S)

    def stop(self) -> None:
        assert self.end(signal.SIGTERM) == 0, self.log.read_text()

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def runs(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def command(self, *words: str) -> str:
        """What the program prints."""
        inside = [sys.executable, "-m", "services.vpn.server", *words, "--config", str(self.config)]
        return subprocess.run(inside, capture_output=True, text=True, check=True, timeout=DEADLINE_S, cwd=ROOT).stdout

    def status(self) -> Status:
        answer = ask(self.folder / "ram" / "vpn-server.sock", GetStatus())
        assert isinstance(answer, Status)
        return answer

    def clients(self) -> dict[str, ClientState]:
        answer = ask(self.folder / "ram" / "vpn-server.sock", GetClients())
        assert isinstance(answer, Clients)
        return {client.node_id: client for client in answer.clients}

    def dropped(self, cause: str) -> int:
        return self.status().dropped[cause]


class Client:
    """A client that has a lease, its addresses and a route to some places."""

    def __init__(self, node: Node, server: NodeId, *avoid: str) -> None:
        self.node = node
        words = [sys.executable, "-m", "tests.services.vpn.server.leaser", str(node.folder / "node.sock"), server]
        inside = [*node.host.inside(), f"--wdns={ROOT}", *words, *avoid]
        self._process = subprocess.Popen(inside, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        try:
            self.leased = self.hear()
        except BaseException:
            self._process.kill()
            self._process.communicate()
            raise

    def hear(self, within_s: float = DEADLINE_S) -> Any:
        assert self._process.stdout is not None
        ready, _, _ = select.select([self._process.stdout], [], [], within_s)
        assert ready, f"nothing came within {within_s:g} s"
        line = self._process.stdout.readline()
        assert line, "the connection is closed"
        return json.loads(line)

    def enter(self, *places: str) -> None:
        """Takes the addresses, and goes to those places by the tunnel."""
        run = self.node.host.run
        for address in (self.leased["ipv4"], self.leased["ipv6"]):
            if address:
                at_once = ["nodad"] if ":" in address else []  # the kernel would take its time, and refuse routes
                run("ip", "address", "replace", address, "dev", "sky0", "noprefixroute", *at_once)
        for place in (*places, *self.leased["dns"]):
            source = self.leased["ipv6" if ":" in place else "ipv4"]
            run("ip", "route", "replace", place, "dev", "sky0", "src", source, "mtu", str(self.leased["mtu"]))

    def fetch(self, what: str, *options: str, host: str = WEB) -> str:
        """By HTTP."""
        place = f"[{host}]" if ":" in host else host
        return self.node.host.run("curl", "-sS", "-m", "20", *options, f"http://{place}/{what}", ok=False)

    def question(self, protocol: str) -> str:
        """An answer of the resolver that the server offers."""
        script = (
            "import socket, sys\n"
            f"end = socket.socket(socket.AF_INET, socket.SOCK_{'STREAM' if protocol == 'tcp' else 'DGRAM'})\n"
            "end.settimeout(5); end.connect((sys.argv[1], 53)); end.send(b'who'); print(end.recv(99).decode())\n"
        )
        return self.node.host.run(sys.executable, "-c", script, self.leased["dns"][0]).strip()

    def leave(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(DEADLINE_S)
        assert self._process.stdout is not None
        self._process.stdout.close()
        for address in (self.leased.get("ipv4"), self.leased.get("ipv6")):
            if address:
                self.node.host.run("ip", "address", "del", address, "dev", "sky0", ok=False)


class World:
    def __init__(self, hosts: dict[str, Host], nodes: dict[str, Node], server: Server) -> None:
        self.hosts, self.nodes, self.server = hosts, nodes, server
        self.clients: list[Client] = []

    def client(self, name: str, *avoid: str) -> Client:
        client = Client(self.nodes[name], self.nodes["s"].node_id, *avoid)
        self.clients.append(client)
        return client

    def begin(self, settings: str = "") -> None:
        """A server that has never run before, with these settings."""
        self.rest()
        for path in (*self.server.folder.glob("ram/*.json"), *self.server.folder.glob("card/*.json")):
            path.unlink()
        self.server.set(settings)
        self.server.start()

    def rest(self) -> None:
        for client in self.clients:
            client.leave()
        self.clients.clear()
        if self.server.runs:
            self.server.stop()

    def wait(self, is_so: Callable[[], object], what: str) -> None:
        deadline = time.monotonic() + DEADLINE_S
        while not is_so():
            assert time.monotonic() < deadline, f"not so: {what}\n{self.server.log.read_text()}"
            time.sleep(0.05)


@contextlib.contextmanager
def run_world(folder: Path) -> Iterator[World]:
    with contextlib.ExitStack() as undo:
        hosts: dict[str, Host] = {}
        for name in ("s", "a", "b", "one", "two", "web"):
            hosts[name] = Host(f"vpn-{name}")
            undo.callback(hosts[name].close)
        _wire(hosts)
        folder.chmod(0o700)
        places = {"s": "10.0.1.1", "a": "10.0.2.1", "b": "10.0.3.1"}
        nodes = {name: Node(hosts[name], folder / name, at, NODE_YAML) for name, at in places.items()}
        for node in nodes.values():
            undo.callback(_killed, node)
        nodes["s"].start()
        manager = Manager(nodes["s"])
        undo.callback(manager.stop)
        manager.start()
        for name in ("a", "b"):
            nodes[name].start()
        for name in ("a", "b"):
            nodes[name].waits(lambda status: status.works)
        web = hosts["web"].popen(str(Path(__file__).with_name("web.py")))
        undo.callback(_killed, web)
        world = World(hosts, nodes, Server(nodes["s"]))
        undo.callback(_ended, world)
        yield world


def _wire(hosts: dict[str, Host]) -> None:
    joined(hosts["one"], hosts["s"], hosts["a"], hosts["b"])
    cable(hosts["s"], hosts["two"], 5)
    cable(hosts["web"], hosts["one"], 8)
    cable(hosts["web"], hosts["two"], 9)
    for name, number in (("one", 8), ("two", 9)):
        hosts[name].run("sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1")
        _address(hosts[name], f"2001:db8:{number}::2/64", number)
        _address(hosts["web"], f"2001:db8:{number}::80/64", number)
        for place in (WEB, RESOLVER, PRIVATE):
            ip("-n", hosts[name].name, "route", "add", place, "via", f"10.0.{number}.1")
        ip("-n", hosts[name].name, "route", "add", "2001:db8:9::80", "via", f"2001:db8:{number}::80")
    for place in (WEB, RESOLVER, PRIVATE):
        ip("-n", hosts["web"].name, "address", "add", f"{place}/32", "dev", "lo")
    ip("-n", hosts["web"].name, "route", "add", "10.0.0.0/22", "via", "10.0.8.2")
    ip("-n", hosts["web"].name, "route", "add", "2001:db8:1::/64", "via", "2001:db8:8::2")
    ip("-n", hosts["s"].name, "route", "add", "10.0.2.0/23", "via", "10.0.1.2")
    _address(hosts["s"], "2001:db8:1::1/64", 1)
    _address(hosts["one"], "2001:db8:1::2/64", 1)
    ip("-n", hosts["s"].name, "route", "add", "default", "via", "2001:db8:1::2")
    ip("-n", hosts["web"].name, "route", "add", "10.0.5.0/24", "via", "10.0.9.2")


def _address(host: Host, address: str, number: int) -> None:
    ip("-n", host.name, "address", "add", address, "dev", f"e{number}", "nodad")


def _killed(program: Node | subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(AssertionError, ProcessLookupError):
        program.kill()
    if isinstance(program, subprocess.Popen):
        program.communicate()


def _ended(world: World) -> None:
    with contextlib.suppress(AssertionError, ProcessLookupError, subprocess.TimeoutExpired):
        world.rest()
    if world.server.runs:
        world.server.end(signal.SIGKILL)
