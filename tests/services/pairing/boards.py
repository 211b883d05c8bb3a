"""Boards on one switch, as network namespaces with real multicast: on each the real node and manager with a board's
settings and firewall, restarted when they end, as viscript does. Pairings run as on a board, but for the supervisor.
"""

from __future__ import annotations

import contextlib
import json
import socket
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from services.lines import encode
from services.manager.api_words import GetNodes, GetStatus, Nodes, Status
from services.manager.client import ask
from services.manager.errors import ManagerError
from services.node.api_words import GetStatus as GetNodeStatus
from services.node.api_words import Status as NodeStatus
from services.node.errors import NodeError
from services.node.line import ask_once
from services.pairing import api_words as words
from tests.laboratory.host import Host
from tests.laboratory.job import Job
from tests.laboratory.lab import Lab, run_lab
from tests.laboratory.model import By, Ready
from tests.laboratory.topology import parse_topology

NETWORK = """
description: boards that nobody has told anything, on one switch
hosts: [{names}]
switches: {{lan: {{subnet: {subnet}, members: ["*"]}}}}
"""
AGAIN = 'while :; do "$@"; done'
UNLESS_DONE = 'until "$@"; do :; done'
NODE = """seed: {dir}/seed
ram: /run/skywire/node
card: {dir}/card
host: board
outside: [tcp/22, udp/5353]
managers: [{{at: "127.0.0.1:7997"}}]
"""
MANAGER = """seed: {dir}/seed
folder: {dir}/manager
joined: {dir}/joined/node.yaml
{more}
"""
SCAN = """import socket, sys
end = socket.socket(); end.settimeout(0.7)
print(end.connect_ex((sys.argv[1], int(sys.argv[2]))))"""
WITHIN_S = 60.0


class Board:
    def __init__(self, host: Host, more: str = "") -> None:
        self.host, self.name = host, host.name
        self._dir = host.folder
        self._more = more
        self.joined = self._dir / "joined/node.yaml"
        self.pairing: Job

    def start(self) -> None:
        self.joined.parent.mkdir()
        host, at = self.host, {"dir": self._dir, "more": self._more}
        host.run(["node", "identity", "new", "--file", f"{self._dir}/seed"])
        (self._dir / "node.yaml").write_text(NODE.format(**at))
        (self._dir / "manager.yaml").write_text(MANAGER.format(**at))
        layers = ["--defaults", f"{self._dir}/node.yaml", "--defaults", str(self.joined), "--config", "/none.yaml"]
        host.start(["sh", "-c", AGAIN, "sh", "node", "run", *layers], name="node")
        manager = ["manager", "run", "--config", f"{self._dir}/manager.yaml"]
        host.start(["sh", "-c", UNLESS_DONE, "sh", *manager], name="manager")

    def hold(self) -> Watcher:
        """The button, for 3 s."""
        command = [sys.executable, "-m", "services.pairing", "run", "--config", f"{self._dir}/manager.yaml"]
        path = words.SOCKET
        self.pairing = self.host.start(
            [*command, "--socket", str(path)], name="pairing", ready=Ready(By.LINE, "opens the pairing")
        )
        return Watcher(self.host.outside(str(path)))

    # what is so

    @property
    def node_socket(self) -> Path:
        return self.host.outside("/run/skywire/node.sock")

    @property
    def manager_socket(self) -> Path:
        return self.host.outside("/run/skywire/manager.sock")

    def node(self) -> NodeStatus:
        return ask_once(GetNodeStatus(), NodeStatus, self.node_socket)

    def manager(self) -> Status:
        return ask(GetStatus(), Status, self.manager_socket)

    def members(self) -> set[str]:
        return {row.node_id for row in ask(GetNodes(), Nodes, self.manager_socket).nodes}

    @property
    def address(self) -> str:
        return self.host.facts.addresses[self.name]

    def sees_open(self, other: Board, port: int) -> bool:
        return self.host.run([sys.executable, "-c", SCAN, other.address, str(port)]).stdout.strip() == "0"


class Watcher:
    """What a shell shows of a pairing, and asks of it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._end = self._connect()
        self._end.sendall(encode(words.Watch()))
        self._file = self._end.makefile("rb")
        self.all: list[words.Shown] = []

    def until(self, stage: str) -> words.Shown:
        """That stage, or the end, whichever comes first."""
        while True:
            line = self._file.readline()
            assert line, f"the pairing ended without '{stage}': {self.all}"
            shown = words.read_answer(line)
            assert isinstance(shown, words.Shown), shown
            self.all.append(shown)
            if shown.is_over:
                self.close()
            if shown.stage == stage or shown.is_over:
                return shown

    def close(self) -> None:
        self._file.close()
        self._end.close()

    def say(self, request: words.Request) -> None:
        with self._connect() as end, end.makefile("rb") as answers:
            end.sendall(encode(request))
            assert isinstance(words.read_answer(answers.readline()), words.Done)

    def _connect(self) -> socket.socket:
        end = socket.socket(socket.AF_UNIX)
        end.settimeout(WITHIN_S)
        end.connect(str(self._path))
        return end


class Boards:
    def __init__(self, lab: Lab, more: dict[str, str]) -> None:
        self.all = {host.name: Board(host, more.get(host.name, "")) for host in lab.hosts}

    def __getitem__(self, name: str) -> Board:
        return self.all[name]


@contextlib.contextmanager
def run_boards(
    names: str,
    scratch: Path,
    *,
    subnet: str = "192.168.77.0/24",
    prepare: Callable[[Host], None] = lambda _: None,
    **more: str,
) -> Iterator[Boards]:
    """Each is its own network when they are handed out. `prepare` has the host before its programs start; `more`: lines
    of a board's manager.yaml.
    """
    network = NETWORK.format(names=", ".join(names.split()), subnet=subnet)
    with run_lab(parse_topology(network, "boards"), scratch) as lab:
        boards = Boards(lab, more)
        for host in lab.hosts:
            prepare(host)
        for board in boards.all.values():
            board.start()
        for board in boards.all.values():
            wait(lambda board=board: board.node().works and board.manager().works, f"'{board.name}' works")  # type: ignore[misc]
        yield boards


def wait(is_so: Callable[[], object], what: str, within_s: float = WITHIN_S) -> None:
    end_s, last = time.monotonic() + within_s, ""
    while True:
        try:
            if is_so():
                return
        except (NodeError, ManagerError, OSError, json.JSONDecodeError) as error:
            last = str(error)
        assert time.monotonic() < end_s, f"not within {within_s:g} s: {what} ({last})"
        time.sleep(0.1)
