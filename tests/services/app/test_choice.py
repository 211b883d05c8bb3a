"""Which servers a choice leaves, in which order, and what is told where it leaves none."""

import math

import msgspec
import pytest

from services.app.choice import Choice, Server, fitting, in_order
from services.app.errors import NoServerError
from services.keys import NodeId

BERLIN = Server(NodeId("b" * 64), "vpn", "fd53::b", 4443, ("country=de", "fast"))
PARIS = Server(NodeId("a" * 64), "vpn", "fd53::a", 4443, ("country=fr",))
NOWHERE = Server(NodeId("c" * 64), "vpn", "fd53::c", 4443)
ALL = (BERLIN, NOWHERE, PARIS)
IDS = {"home": BERLIN.node_id, "work": PARIS.node_id, "gone": NodeId("d" * 64)}


@pytest.mark.parametrize(
    ("choice", "fit"),
    [
        (Choice(), [PARIS, BERLIN, NOWHERE]),
        (Choice(servers=("home", "work")), [BERLIN, PARIS]),
        (Choice(servers=("work", "gone", "unknown", "work")), [PARIS]),
        (Choice(country="DE"), [BERLIN]),
        (Choice(country="de", label="fast"), [BERLIN]),
        (Choice(servers=("work", "home"), label="fast"), [BERLIN]),
    ],
)
def test_what_fits(choice: Choice, fit: list[Server]) -> None:
    assert fitting(choice, ALL, IDS) == fit


@pytest.mark.parametrize(
    ("choice", "offered", "why"),
    [
        (Choice(), (), "nobody offers it in the mesh"),
        (Choice(servers=("gone", "x\x1b")), ALL, r"none of 'gone', 'x\\x1b' offers it \(3 others do"),
        (Choice(country="it"), ALL, "none of 3 servers has 'country=it'"),
    ],
)
def test_why_nothing_fits(choice: Choice, offered: tuple[Server, ...], why: str) -> None:
    with pytest.raises(NoServerError, match=why):
        fitting(choice, offered, IDS)


def test_the_fastest_is_first_and_the_unknown_last() -> None:
    latencies = {BERLIN: 0.010, PARIS: 0.002}
    ordered = in_order(Choice(by="fastest"), ALL, lambda one: latencies.get(one, math.inf), list.reverse)
    assert ordered == [PARIS, BERLIN, NOWHERE]


def test_random_asks_for_another_order_each_time() -> None:
    assert in_order(Choice(by="random"), ALL, lambda _: 0, list.reverse) == [PARIS, NOWHERE, BERLIN]


def test_a_country_is_two_letters() -> None:
    with pytest.raises(msgspec.ValidationError, match="country 'Germany' is not two letters"):
        msgspec.json.decode(b'{"country": "Germany"}', type=Choice)
