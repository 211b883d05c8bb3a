"""Which server is next."""

from __future__ import annotations

from services.app.choice import Server
from services.vpn.client.order import FIRST_PAUSE_S, LONGEST_PAUSE_S, OUT_S, Order
from tests.services.vpn.client.people import SERVERS


def test_the_one_in_use_stays_first() -> None:
    order = Order()
    order.worked(SERVERS[1])
    assert order.sort(SERVERS, 0) == [SERVERS[1], SERVERS[0], SERVERS[2]]


def test_one_that_died_is_last_for_a_while() -> None:
    order = Order()
    order.worked(SERVERS[0])
    order.failed(SERVERS[0], 100)
    assert order.sort(SERVERS, 101) == [SERVERS[1], SERVERS[2], SERVERS[0]]
    assert order.sort(SERVERS, 100 + OUT_S) == list(SERVERS)


def test_one_that_says_when_to_ask_again_is_asked_again() -> None:
    """Its addresses moved, or it starts again: another server would cut every connection."""
    order = Order()
    order.worked(SERVERS[1])
    order.failed(SERVERS[1], 100, out_s=0)
    assert order.sort(SERVERS, 100)[0] == SERVERS[1]


def test_pauses_grow_until_one_works() -> None:
    order = Order()
    pauses = [order.pause_s() for _ in range(10)]
    assert pauses[0] == FIRST_PAUSE_S
    assert pauses == sorted(pauses)
    assert pauses[-1] == LONGEST_PAUSE_S
    order.worked(Server(SERVERS[0].node_id, "vpn", "", 1))
    assert order.pause_s() == FIRST_PAUSE_S
