"""Ports of a board that are reached from outside the mesh for a while: seen by a real scan from another host."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

from services.node.api_words import Done, GetStatus, Outside, Status
from services.node.errors import NodeRefusedError
from services.node.line import Line
from tests.services.node.conftest import MakeNodes
from tests.services.node.world import Node

SCAN = "import socket, sys; print(socket.socket().connect_ex((sys.argv[1], int(sys.argv[2]))))"
LISTEN = "import socket, sys; s = socket.create_server(('', int(sys.argv[1]))); print(flush=True); sys.stdin.read()"


def is_open(seen_from: Node, at: Node, port: int) -> bool:
    words = ["timeout", "0.6", sys.executable, "-c", SCAN, at.at, str(port)]
    return "0" in seen_from.host.run(*words, ok=False).split()


def wait_shut(seen_from: Node, at: Node, port: int) -> None:
    deadline = time.monotonic() + 10
    while is_open(seen_from, at, port):
        assert time.monotonic() < deadline, f"port {port} stays open"


def test_a_port_is_open_as_long_as_somebody_wants_it(make_nodes: MakeNodes) -> None:
    board, other = make_nodes("ab", "host: board\noutside: [tcp/22]")
    board.start()
    words = ["ip", "netns", "exec", board.host.name, sys.executable, "-c", LISTEN, "7997"]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as listener:
        assert listener.stdout is not None
        listener.stdout.readline()
        assert not is_open(other, board, 7997)
        path = board.folder / "node.sock"
        with Line(path) as one, Line(path) as two:
            for line in (one, two):
                line.ask(Outside(("tcp/7997",)), Done)
            assert is_open(other, board, 7997)
            with pytest.raises(NodeRefusedError, match="already"):
                one.ask(Outside(("tcp/7998",)), Done)
            for wrong in ((), ("tcp/0",), ("sctp/7",), tuple(f"tcp/{port}" for port in range(1, 10))):
                with Line(path) as third, pytest.raises(NodeRefusedError, match=r"port"):
                    third.ask(Outside(wrong), Done)
            one.__exit__()
            two.ask(GetStatus(), Status)
            assert is_open(other, board, 7997), "the other still wants it"
        wait_shut(other, board, 7997)
        listener.kill()
