"""The commands as a person gives them: against a node with the longest words there are, and against a real one."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import msgspec
import pytest
from click.testing import CliRunner, Result

from services.keys import Identity
from services.manager.routes.model import Kind
from services.manager.routes.policy import Metric, Policy
from services.node import api_words as words
from services.node.__main__ import main
from services.node.access import Access
from services.node.api import Api
from services.node.commands import COMMANDS
from services.node.commands.connect import read_policy
from services.node.config import Config
from services.node.errors import SessionError
from services.secrecy import Secret
from tests.services.kernel.hosts import ROOT
from tests.services.node.conftest import MakeNodes

ID, OTHER = (Identity(Secret(bytes([place]) * 32)).node_id for place in (1, 2))
ADDRESS = "fd53:1234:5678:9abc:def0:1234:5678:9abc"
ROUTE = "0123456789abcdef01234567"
LONG = "x" * 63
BIG = 10**13

ANSWERS: dict[type, msgspec.Struct] = {
    words.GetStatus: words.Status(
        ID,
        ADDRESS,
        "0.1.0",
        BIG,
        True,
        False,
        "NOT working: no manager answers: " + LONG,
        False,
        (
            words.ManagerState("manager.with-a-long-name.example:7997", ID, True),
            words.ManagerState("", OTHER, False),
        ),
        100,
        99,
        1000,
        100_000,
        32,
        {"forged": BIG, "strayed": BIG, "refused": BIG, "hijacked": BIG, "injected": BIG},
        (words.Trouble(f"node '{OTHER}' was refused service '{LONG}': it is not on the list", BIG, BIG),),
    ),
    words.GetLinks: words.Links(
        (
            words.LinkState(OTHER, Kind.WG, "sky-link", ADDRESS, f"[{ADDRESS}]:51820", True, 12.3456, 0.5, 1420),
            words.LinkState(OTHER, Kind.WIRE, "sky-w8abcde", ADDRESS, "", False, 0.0, 1.0, 1450, "no answer " + LONG),
        )
    ),
    words.GetSessions: words.Sessions(
        (
            words.SessionState(
                OTHER,
                ADDRESS,
                True,
                (LONG, LONG),
                Policy(),
                (
                    words.PathState(ROUTE, (ID, OTHER, ID), ADDRESS, True, True, 12.3456, 0.0, 1420),
                    words.PathState(ROUTE, (), ADDRESS, False, False, 0.0, 1.0, 1420),
                    words.PathState("", (), "192.0.2.1:51821", False, True, 0.0005, 0.0, 1420),
                ),
                1328,
                3,
                BIG,
                BIG,
                BIG,
                BIG,
            ),
        )
    ),
    words.GetRoutes: words.Routes((words.RouteState(ROUTE, ID, None, 1420, 599.9),)),
    words.GetServices: words.Services((words.ServiceState(ID, LONG, ADDRESS, 65535, (ID, f"cluster:{ID}")),)),
    words.Find: words.Services((words.ServiceState(ID, "web", ADDRESS, 80),)),
    words.GetMeter: words.Metered(
        (words.MeterRow(ROUTE, "sky-w8abcde", "responder", BIG, BIG, BIG),), (words.EndRow(OTHER, (ROUTE,), BIG, BIG),)
    ),
    words.Connect: words.Connected(ID, ADDRESS, 1080, 1328),
    words.Resolve: words.Resolved("alice", ID, ADDRESS, "pet"),
    words.GetPets: words.Pets((words.Pet("alice", ID, ADDRESS), words.Pet(LONG, OTHER, ADDRESS))),
    words.SetPet: words.Pets(()),
}

ASKED = [
    ("status",),
    ("links",),
    ("sessions",),
    ("routes",),
    ("services",),
    ("find",),
    ("find", "web", "--at", "alice"),
    ("meter",),
    ("connect", "alice.sky", "web"),
    ("resolve", "alice"),
    ("pet",),
    ("pet", "alice", ID),
    ("pet", "alice", "--forget"),
]


class Desk:
    told_errors = (SessionError,)

    async def answer(self, request: words.Request) -> words.Answer:
        if isinstance(request, words.Close):
            raise SessionError("there is no session with node 'x'")
        return ANSWERS[type(request)]  # type: ignore[return-value]

    async def let_go(self, held: words.Held) -> None:
        raise AssertionError(held)


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Callable[..., Result]]:
    """Gives a command to a node that answers with the longest words there are."""
    loop = asyncio.new_event_loop()
    api = Api(tmp_path / "node.sock", Desk(), Access(Config()).refusal)
    loop.run_until_complete(api.start())
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    def give(*asked: str) -> Result:
        return CliRunner().invoke(main, [asked[0], "--socket", str(tmp_path / "node.sock"), *asked[1:]])

    try:
        yield give
    finally:
        asyncio.run_coroutine_threadsafe(api.close(), loop).result(30)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(30)
        loop.close()


@pytest.mark.parametrize("asked", ASKED, ids=" ".join)
def test_what_is_told_fits_a_terminal(node: Callable[..., Result], asked: tuple[str, ...]) -> None:
    result = node(*asked)
    assert result.exit_code == (1 if asked == ("status",) else 0), result.output
    assert result.output
    assert not [line for line in result.output.splitlines() if len(line) > 80], result.output


@pytest.mark.parametrize("asked", ASKED, ids=" ".join)
def test_all_of_it_as_json(node: Callable[..., Result], asked: tuple[str, ...]) -> None:
    result = node(*asked, "--json")
    (line,) = result.output.splitlines()
    told = msgspec.json.decode(line, type=words.Answer)
    assert told in ANSWERS.values()


def test_a_refusal_is_told_in_a_line(node: Callable[..., Result]) -> None:
    result = node("close", ID)
    assert (result.exit_code, result.output) == (1, "node: there is no session with node 'x'\n")


@pytest.mark.parametrize(
    "asked",
    [
        ("connect", "alice"),
        ("connect", "alice", "web", "--policy", "hops"),
        ("connect", "alice", "web", "--policy", "hops_at_least=0"),
        ("connect", "alice", "web", "--policy", "speed=1"),
        ("connect", "alice", "web", "--policy", "metric=price", "--policy", "metric=latency"),
        ("publish", "web", "0"),
        ("publish", "web", "http"),
        ("pet", "alice"),
        ("pet", "alice", ID, "--forget"),
        ("fly",),
    ],
    ids=" ".join,
)
def test_what_is_asked_wrongly_ends_with_two(node: Callable[..., Result], asked: tuple[str, ...]) -> None:
    assert node(*asked).exit_code == 2


def test_a_policy_of_wishes() -> None:
    assert read_policy(("metric=price", "hops_at_least=2", f"exclude={ID},{OTHER}")) == Policy(
        metric=Metric.PRICE, hops_at_least=2, exclude=frozenset((ID, OTHER))
    )
    with pytest.raises(click.UsageError, match="key=value"):
        read_policy(("price",))


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_has_an_example(name: str) -> None:
    result = CliRunner().invoke(main, [name, "--help"])
    assert result.exit_code == 0
    assert re.search(rf"^  node {name}", result.output, re.MULTILINE)
    assert not [line for line in result.output.splitlines() if len(line) > 80]


def test_where_no_node_is(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["links", "--socket", str(tmp_path / "none")])
    assert result.exit_code == 1
    assert "is it running? node run" in result.output


def test_a_real_node_is_asked(make_nodes: MakeNodes) -> None:
    (real,) = make_nodes("a", "resolver: 127.0.0.153:5453")
    real.start()
    socket = ["--socket", str(real.folder / "node.sock")]

    def give(*asked: str) -> Result:
        return CliRunner().invoke(main, [*asked, *socket])

    status = give("status", "--json")
    assert (status.exit_code, msgspec.json.decode(status.output)["node_id"]) == (1, real.node_id)
    assert "no neighbours" in give("links").output
    assert "no sessions" in give("sessions").output
    assert "nothing is forwarded" in give("meter").output
    assert give("pet", "alice", OTHER).exit_code == 0
    assert OTHER in give("resolve", "alice.sky").output
    assert "not connected to a manager" in give("connect", "alice", "web").output
    assert "no session with node" in give("close", "alice").output
    holding = subprocess.Popen(
        [sys.executable, "-m", "services.node", "publish", "web", "8080", "--to", OTHER, *socket],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    with holding:
        assert holding.stdout is not None
        assert f"[{real.session_address}]:8080" in holding.stdout.readline()
        assert "8080" in give("services").output
        assert "8080" in real.host.run("nft", "list", "set", "inet", "skywire", "granted")
        holding.send_signal(signal.SIGINT)
    assert holding.returncode == 0
    real.waits(lambda told: told.services == 0)
    assert "8080" not in real.host.run("nft", "list", "set", "inet", "skywire", "granted")
    real.stop()
