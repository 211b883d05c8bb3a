"""The join protocol with both ends in memory: who is let in, and every message that must not help anybody."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.keys import Identity, new_seed, seal
from services.manager.admission import (
    MAX_MESSAGE,
    REQUEST,
    Admitted,
    Asked,
    Challenge,
    Kind,
    ManagerEnd,
    NodeEnd,
    Request,
)
from services.manager.errors import JoinError
from services.manager.record import make_record, sign_record
from services.manager.signed import sign

TOKEN = "0123456789abcdef.ABCDEFGHIJKLMNOPQRSTUV"


def a_node(token: str = TOKEN, manager: Identity | None = None) -> tuple[Identity, NodeEnd]:
    node = Identity(new_seed())
    return node, NodeEnd(node, record_of(node), token, manager.node_id if manager else None)


def record_of(node: Identity) -> bytes:
    return sign_record(node, make_record(node, 1, ("192.0.2.1:51820",), "1"))


def asked(manager_end: ManagerEnd, node_end: NodeEnd) -> tuple[Asked, bytes, bytes]:
    """As far as the request; also the bytes of challenge and request."""
    challenge, nothing = manager_end.feed(node_end.begin())
    assert nothing is None
    request, early = node_end.feed(challenge)
    assert early is None
    send, found = manager_end.feed(request)
    assert isinstance(found, Asked)
    assert send == b""
    return found, challenge, request


def framed(kind: int, body: bytes) -> bytes:
    return (len(body) + 1).to_bytes(4, "big") + bytes([kind]) + body


def test_a_node_is_admitted() -> None:
    manager = Identity(new_seed())
    node, node_end = a_node(manager=manager)
    manager_end = ManagerEnd(manager)
    found, _, request = asked(manager_end, node_end)
    assert (found.node_id, found.token) == (node.node_id, TOKEN)
    assert found.record == make_record(node, 1, ("192.0.2.1:51820",), "1")
    assert TOKEN.encode() not in request, "who listens must not learn the token"
    answer = manager_end.admit("jwt", ("nats://[fd53::1]:4222",), (manager.node_id,), (b"record",), "192.0.2.1:4")
    assert b"jwt" not in answer
    _, admitted = node_end.feed(answer)
    assert isinstance(admitted, Admitted)
    assert (admitted.bus_token, admitted.managers, admitted.records) == ("jwt", (manager.node_id,), (b"record",))


def test_byte_by_byte_is_the_same() -> None:
    manager = Identity(new_seed())
    node, node_end = a_node()
    manager_end, found = ManagerEnd(manager), None
    to_manager = node_end.begin()
    while to_manager:
        to_node = b""
        for byte in to_manager:
            send, asked_now = manager_end.feed(bytes([byte]))
            to_node, found = to_node + send, found or asked_now
        to_manager = b"".join(node_end.feed(bytes([byte]))[0] for byte in to_node)
    assert isinstance(found, Asked)
    assert found.node_id == node.node_id


def test_a_refusal_reaches_the_node_harmlessly() -> None:
    manager = Identity(new_seed())
    _, node_end = a_node()
    manager_end = ManagerEnd(manager)
    asked(manager_end, node_end)
    with pytest.raises(JoinError, match=r"the manager refused: 'no\\x1b\[2J'"):
        node_end.feed(manager_end.refuse("no\x1b[2J"))


def test_a_replayed_request_is_refused() -> None:
    manager = Identity(new_seed())
    _, node_end = a_node()
    _, _, request = asked(ManagerEnd(manager), node_end)
    again = ManagerEnd(manager)
    again.feed(node_end.begin())
    with pytest.raises(JoinError, match="another challenge"):
        again.feed(request)
    once = ManagerEnd(manager)
    once.feed(node_end.begin())
    with pytest.raises(JoinError, match="REQUEST or KNOCK was expected"):
        once.feed(node_end.begin())


def test_one_request_a_connection() -> None:
    manager = Identity(new_seed())
    _, node_end = a_node()
    manager_end = ManagerEnd(manager)
    _, _, request = asked(manager_end, node_end)
    with pytest.raises(JoinError, match="nothing was expected"):
        manager_end.feed(request)


def test_a_request_for_another_manager_is_refused() -> None:
    """A false manager that hands the true one's challenge on gets a request that only itself could open."""
    true, false = Identity(new_seed()), Identity(new_seed())
    node = Identity(new_seed())
    manager_end = ManagerEnd(true)
    send, _ = manager_end.feed(NodeEnd(node, b"").begin())
    challenge = challenge_in(send)
    request = sign(node, REQUEST, Request(false.node_id, challenge, record_of(node)))
    with pytest.raises(JoinError, match="another challenge"):
        manager_end.feed(framed(Kind.REQUEST, seal(true.node_id, request)))


def challenge_in(frame: bytes) -> bytes:
    return msgspec.json.decode(frame[5:], type=Challenge).challenge


def test_forged_requests_are_refused() -> None:
    manager, node, thief = (Identity(new_seed()) for _ in range(3))
    for what, by, record in (
        ("another's record", thief, record_of(node)),
        ("no record", node, b"{}"),
        ("changed record", node, record_of(node).replace(b"A", b"B", 1)),
    ):
        manager_end = ManagerEnd(manager)
        challenge = challenge_in(manager_end.feed(NodeEnd(node, b"").begin())[0])
        request = sign(by, REQUEST, Request(manager.node_id, challenge, record))
        with pytest.raises(JoinError):
            manager_end.feed(framed(Kind.REQUEST, seal(manager.node_id, request)))
        with pytest.raises(ValueError, match="nobody asked"):
            manager_end.admit("", (), (), ())
        assert what
    for body in (b"", b"not sealed", seal(manager.node_id, b"{}"), seal(node.node_id, b"{}")):
        manager_end = ManagerEnd(manager)
        manager_end.feed(NodeEnd(node, b"").begin())
        with pytest.raises(JoinError, match="not sound"):
            manager_end.feed(framed(Kind.REQUEST, body))


def test_a_node_takes_no_other_manager_and_no_other_s_admission() -> None:
    manager, other = Identity(new_seed()), Identity(new_seed())
    _, node_end = a_node(manager=manager)
    with pytest.raises(JoinError, match="wrong address"):
        node_end.feed(ManagerEnd(other).feed(node_end.begin())[0])
    _, node_end = a_node()
    _, second = a_node()
    ends = ManagerEnd(manager), ManagerEnd(manager)
    asked(ends[0], node_end)
    asked(ends[1], second)
    with pytest.raises(JoinError, match="not sound"):
        second.feed(ends[0].admit("jwt", (), (), ()))
    _, fresh = a_node()
    with pytest.raises(JoinError, match="ADMITTED was not expected"):
        fresh.feed(ends[0].admit("jwt", (), (), ()))


@given(st.binary(max_size=300))
def test_noise_never_gets_through(noise: bytes) -> None:
    manager = Identity(new_seed())
    for end in (ManagerEnd(manager), a_node()[1]):
        try:
            _, found = end.feed(noise)
        except JoinError:
            continue
        assert found is None


@pytest.mark.parametrize(
    "head", [b"\0\0\0\0", (MAX_MESSAGE + 1).to_bytes(4, "big"), b"\xff\xff\xff\xff", b"\0\0\0\1\7"]
)
def test_sizes_and_kinds_are_checked_before_they_are_kept(head: bytes) -> None:
    with pytest.raises(JoinError):
        ManagerEnd(Identity(new_seed())).feed(head + b"xxxxx")
