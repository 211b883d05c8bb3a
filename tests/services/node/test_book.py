"""Who wants what of the kernel, before anything is brought to it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Network

import pytest

from services.kernel import rules
from services.kernel.errors import WantedError
from services.kernel.model import SESSIONS, AllowedIp, Endpoint, Fact, Peer, Route, outer
from services.keys import Identity, new_seed
from services.node.book import Book
from services.node.kernel_thread import Kernel
from services.node.own import own_facts

KEY = bytes(range(32))
NETWORK = IPv6Network("fd53::1/128")
PLACES = [Endpoint(IPv4Address(f"10.0.0.{number}"), 51821) for number in range(3)]


def peer(endpoint: Endpoint | None = None, keepalive_s: int = 0) -> Peer:
    return Peer(SESSIONS, KEY, endpoint, keepalive_s)


@pytest.fixture
def book() -> Book:
    made = Book(Kernel())
    put(made, "own", own_facts(Identity(new_seed()), rules.Settings()))
    return made


def put(book: Book, owner: str, facts: Iterable[Fact]) -> None:
    asyncio.run(book.set(owner, facts))


def test_a_fact_stays_until_its_last_owner_leaves_it(book: Book) -> None:
    for owner in ("session:a", "member:a"):
        put(book, owner, [peer(), AllowedIp(SESSIONS, NETWORK, KEY)])
    put(book, "session:a", ())
    assert book.wanted(peer().key) == peer()
    put(book, "member:a", ())
    assert book.wanted(peer().key) is None
    assert book.owners == ("own",)


def test_the_session_says_where_a_peer_is(book: Book) -> None:
    put(book, "manager:a", [peer(PLACES[0], 25)])
    put(book, "member:a", [peer()])
    assert book.wanted(peer().key) == peer(PLACES[0], 25)
    put(book, "session:a", [peer(PLACES[1], 5)])
    assert book.wanted(peer().key) == peer(PLACES[1], 25)
    put(book, "manager:a", [peer(PLACES[2], 25)])
    assert book.wanted(peer().key) == peer(PLACES[1], 25)
    put(book, "session:a", ())
    assert book.wanted(peer().key) == peer(PLACES[2], 25)


def test_contradictions_change_nothing(book: Book) -> None:
    put(book, "session:a", [Route(NETWORK, SESSIONS, mtu=1328), peer()])
    with pytest.raises(WantedError, match="there can be one"):
        put(book, "session:b", [Route(NETWORK, SESSIONS, mtu=1420), outer(IPv4Address("10.0.0.9"))])
    assert book.wanted(outer(IPv4Address("10.0.0.9")).key) is None
    assert book.wanted(Route(NETWORK, SESSIONS).key) == Route(NETWORK, SESSIONS, mtu=1328)
    assert "session:b" not in book.owners
    put(book, "session:b", [Route(NETWORK, SESSIONS, mtu=1328)])


def test_what_is_needed_cannot_go_or_be_missing(book: Book) -> None:
    with pytest.raises(WantedError, match="without what it needs"):
        put(book, "label:a", [AllowedIp(SESSIONS, NETWORK, KEY)])
    put(book, "session:a", [peer()])
    put(book, "label:a", [AllowedIp(SESSIONS, NETWORK, KEY)])
    with pytest.raises(WantedError, match="still needed by 1 other"):
        put(book, "session:a", ())
    assert book.wanted(peer().key) == peer()
    asyncio.run(book.set_many({"session:a": (), "label:a": ()}))
    assert book.wanted(peer().key) is None
