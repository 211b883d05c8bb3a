"""The three ranges, by recorded vectors and by properties, and every address that is refused."""

import hashlib
from ipaddress import IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.addresses import (
    LINKS,
    ROUTES,
    SESSIONS,
    End,
    RouteId,
    check_link,
    check_session,
    link_address,
    new_route_id,
    read_address,
    read_route,
    read_route_id,
    route_address,
    session_address,
)
from services.errors import AddressError, NodeIdError
from services.keys import CurveKey, Identity, NodeId
from services.secrecy import Secret

NODE = NodeId("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")
OTHER = NodeId("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c")
LINK = CurveKey(bytes.fromhex("9e0767eb96275840acd6268522bf055c29cbdfd16045afd43d5c0ec58d82bf73"))

KEYS = st.binary(min_size=32, max_size=32)
ROUTE_IDS = st.binary(min_size=12, max_size=12).map(RouteId)
ANY_ADDRESS = st.ip_addresses(v=6) | st.ip_addresses(network="fd52::/16") | st.ip_addresses(network="fd53::/16")


# vectors


@pytest.mark.parametrize(
    ("address", "vector"),
    [
        (session_address(NODE), "fd53:3f75:b43c:8856:5641:d750:5a87:e5b1"),
        (session_address(OTHER), "fd53:db03:72aa:c1d5:547a:d35c:fac3:9ec9"),
        (link_address(LINK), "fd4c:fc44:ad98:d5e8:c375:750e:194d:e7df"),
        (route_address(read_route_id("00112233445566778899aabb"), End.INITIATOR), "fd52:11:2233:4455:6677:8899:aabb:1"),
        (route_address(read_route_id("00112233445566778899aabb"), End.RESPONDER), "fd52:11:2233:4455:6677:8899:aabb:2"),
        (route_address(RouteId(bytes(12)), End.RESPONDER), "fd52::2"),
    ],
)
def test_the_vectors(address: IPv6Address, vector: str) -> None:
    assert str(address) == vector


def test_the_layout_is_as_written() -> None:
    digest = hashlib.blake2b(bytes.fromhex(NODE), digest_size=14, person=b"skywire fd53").digest()
    assert session_address(NODE).packed == b"\xfd\x53" + digest
    digest = hashlib.blake2b(LINK, digest_size=14, person=b"skywire fd4c").digest()
    assert link_address(LINK).packed == b"\xfd\x4c" + digest


# an address and its key


@given(KEYS, KEYS)
def test_an_address_is_its_key_s_and_no_other_s(one: bytes, other: bytes) -> None:
    mine, yours = Identity(Secret(one)), Identity(Secret(other))
    assert session_address(mine.node_id) in SESSIONS
    assert link_address(mine.link_key) in LINKS
    check_session(mine.node_id, session_address(mine.node_id))
    check_link(mine.link_key, link_address(mine.link_key))
    if one != other:
        with pytest.raises(AddressError, match=mine.node_id):
            check_session(mine.node_id, session_address(yours.node_id))
        with pytest.raises(AddressError, match="not the address of link key"):
            check_link(mine.link_key, link_address(yours.link_key))


def test_the_same_bytes_in_another_range_are_refused() -> None:
    moved = IPv6Address(LINKS.network_address.packed[:2] + session_address(NODE).packed[2:])
    with pytest.raises(AddressError, match="'fd53:3f75:b43c:8856:5641:d750:5a87:e5b1'"):
        check_session(NODE, moved)
    assert link_address(CurveKey(bytes.fromhex(NODE))).packed[2:] != session_address(NODE).packed[2:]
    scoped = IPv6Address(f"{session_address(NODE)}%eth0")
    with pytest.raises(AddressError):
        check_session(NODE, scoped)


def test_what_is_no_key_has_no_address() -> None:
    with pytest.raises(NodeIdError):
        session_address(NodeId("00" * 32))
    with pytest.raises(NodeIdError):
        check_session(NodeId(NODE.upper()), session_address(NODE))
    with pytest.raises(AddressError, match="32 bytes, this one 31"):
        link_address(CurveKey(bytes(31)))


# routes


@given(ROUTE_IDS, st.sampled_from(End))
def test_a_route_address_tells_its_route_and_end(route: RouteId, end: End) -> None:
    address = route_address(route, end)
    assert address in ROUTES
    assert read_route(address) == (route, end)
    assert read_route_id(route.hex()) == route


@given(ANY_ADDRESS)
def test_whatever_is_read_as_a_route_is_written_the_same(address: IPv6Address) -> None:
    try:
        route, end = read_route(address)
    except AddressError:
        assert address not in ROUTES or address.packed[-2:] not in {b"\0\1", b"\0\2"}
    else:
        assert route_address(route, end) == address


@pytest.mark.parametrize("text", ["fd52::", "fd52::3", "fd52::1:0", "fd53::1", "fd4c::1", "::1", "fd52::1%eth0"])
def test_other_addresses_are_of_no_route(text: str) -> None:
    with pytest.raises(AddressError, match="is not a route address"):
        read_route(IPv6Address(text))


def test_route_ids_do_not_repeat() -> None:
    assert len({new_route_id() for _ in range(1000)}) == 1000


@pytest.mark.parametrize("text", ["", "00" * 11, "00" * 13, "AA" * 12, "00" * 12 + "\n", "x" * 10**6, "\x1b[2J"])
def test_other_text_is_no_route_id(text: str) -> None:
    with pytest.raises(AddressError, match="not a route id") as caught:
        read_route_id(text)
    assert len(str(caught.value)) < 400
    assert str(caught.value).isprintable()


def test_a_route_id_of_another_length_has_no_address() -> None:
    with pytest.raises(AddressError, match="12 bytes, this one 13"):
        route_address(RouteId(bytes(13)), End.INITIATOR)


# text


@pytest.mark.parametrize(
    "text",
    ["", "fd53", "fd53::1%eth0", "fd52::1", "10.0.0.1", "::ffff:10.0.0.1", "fd53::1/128", " fd53::1", "x" * 10**6],
)
def test_other_text_is_no_session_address(text: str) -> None:
    with pytest.raises(AddressError, match="is not a") as caught:
        read_address(text, SESSIONS)
    assert len(str(caught.value)) < 400


@given(st.text(alphabet="fd4c523:%0.") | st.text() | ANY_ADDRESS.map(str))
def test_text_is_an_address_of_the_range_or_refused(text: str) -> None:
    for network in (LINKS, ROUTES, SESSIONS):
        try:
            address = read_address(text, network)
        except AddressError:
            continue
        assert address in network
        assert address.scope_id is None
