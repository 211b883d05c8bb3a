"""A session's full packets fit a route's links whole: counted at the relay, with pings of full size.

a - b - c, a route and a session over it. That a few bytes more come in pieces shows that pieces are seen.
"""

from __future__ import annotations

import re
from ipaddress import IPv6Network

import pytest

from services.kernel.model import LINKS, SESSIONS, Fact, Link, LinkKind, Route
from services.kernel.plan import want
from services.node.own import DIRECT_MTU
from services.node.session_words import inner_mtu
from tests.services.kernel.conftest import MakeHost
from tests.services.kernel.hosts import Host, cable
from tests.services.kernel.words import Label, Node, ends, neighbour, own, relays, session

LABEL = Label(0xABCDEF)
PATH = 1420
A, B, C = (Node(name) for name in "abc")
PIECES = """table inet pieces {
  chain pass { type filter hook prerouting priority -450; iifname "sky-link" exthdr frag exists counter; }
}"""


def bring(host: Host, facts: list[Fact], inner: Route | None = None) -> None:
    """sky0 is as wide as a direct session needs, the route as its links, the session as is tried."""
    wanted = [_widened(fact) for fact in facts]
    report = host.call("bring", want([*wanted, *([inner] if inner is not None else [])]))
    assert not report.failed, report.failed


def _widened(fact: Fact) -> Fact:
    match fact:
        case Link(name="sky0"):
            return Link(SESSIONS, LinkKind.WIREGUARD, DIRECT_MTU)
        case Route(device="sky-link", mtu=int()):
            return Route(fact.destination, LINKS, source=fact.source, mtu=PATH)
    return fact


def inside(here: Node, there: Node, mtu: int) -> Route:
    return Route(IPv6Network(there.session_address), SESSIONS, source=here.session_address, mtu=mtu)


@pytest.fixture
def row(make_host: MakeHost) -> list[Host]:
    a, b, c = (make_host(name) for name in "abc")
    cable(a, b, 1)
    cable(b, c, 2)
    bring(b, [*own(B), *neighbour(A, "10.0.1.1"), *neighbour(C, "10.0.2.2"), *relays(LABEL, A, C)])
    return [a, b, c]


def send(row: list[Host], mtu: int) -> tuple[int, int]:
    """How many packets of full size came back, and how many pieces the relay saw."""
    a, b, c = row
    first = [*own(A), *neighbour(B, "10.0.1.2"), *ends(LABEL, B, initiates=True), *session(C, LABEL.responder)]
    last = [*own(C), *neighbour(B, "10.0.2.1"), *ends(LABEL, B, initiates=False), *session(A, None)]
    bring(a, first, inside(A, C, mtu))
    bring(c, last, inside(C, A, mtu))
    assert a.pings(C.session_address)
    b.run("nft", PIECES)
    pings = ("ping", "-c20", "-i0.02", "-W5", "-Mdo", f"-s{mtu - 48}", str(C.session_address))
    came = re.search(r"(\d+) received", a.run(*pings, ok=False))
    pieces = re.search(r"packets (\d+)", b.run("nft", "list", "table", "inet", "pieces"))
    assert came is not None
    assert pieces is not None
    return int(came[1]), int(pieces[1])


def test_full_packets_pass_whole(row: list[Host]) -> None:
    assert send(row, inner_mtu(PATH)) == (20, 0)


def test_a_block_more_comes_in_pieces(row: list[Host]) -> None:
    came, pieces = send(row, inner_mtu(PATH) + 16)
    assert came == 20
    assert pieces >= 40
