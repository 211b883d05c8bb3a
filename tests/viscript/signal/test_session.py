"""The protocol without I/O: two ends joined in memory, and the recorded session replayed against each."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from viscript.signal.errors import LocalError
from viscript.signal.model import Answered, Ask, Asked, Broken, Event, Registered, Registering, Role
from viscript.signal.session import MAX_OUTSTANDING, Session, State

REG = bytes.fromhex("01 00000001 00000009 00 7b224964223a377d")
REG_ANSWER = bytes.fromhex("80 00000001 01 00000001 00000009 80 7b224964223a377d")
ASK_PING = bytes.fromhex("01 00000002 00000005 01 6e756c6c")
PING_ANSWER = bytes.fromhex("80 00000002 01 00000002 00000005 81 6e756c6c")
ASK_SHUTDOWN = bytes.fromhex("01 00000004 00000005 02 6e756c6c")


def make_live_server() -> Session:
    server = Session(Role.SERVER)
    assert server.receive(REG) == [Registering(7)]
    server.accept()
    server.take_output()
    assert server.receive(bytes.fromhex("80 00000001")) == []
    return server


def last(events: list[Event]) -> str:
    event = events[-1]
    assert isinstance(event, Broken)
    return event.reason


def test_a_server_says_the_recorded_bytes() -> None:
    server = Session(Role.SERVER)
    assert server.receive(REG) == [Registering(7)]
    server.accept()
    assert server.take_output() == REG_ANSWER
    server.receive(bytes.fromhex("80 00000001"))
    server.ask(Ask.PING)
    assert server.take_output() == ASK_PING
    assert server.receive(PING_ANSWER) == [Answered(Ask.PING, None)]
    server.ask(Ask.TOP)
    assert server.take_output() == bytes.fromhex("80 00000002 01 00000003 00000005 00 6e756c6c")


def test_a_client_says_the_recorded_bytes() -> None:
    client = Session(Role.CLIENT)
    client.register(7)
    assert client.take_output() == REG
    assert client.receive(REG_ANSWER) == [Registered()]
    assert client.take_output() == bytes.fromhex("80 00000001")
    assert client.receive(ASK_PING) == [Asked(Ask.PING)]
    client.answer(Ask.PING, None)
    assert client.take_output() == PING_ANSWER
    assert client.receive(ASK_SHUTDOWN) == [Asked(Ask.SHUTDOWN)]


def test_a_ping_is_answered_by_a_pong_of_the_same_time() -> None:
    server = make_live_server()
    server.receive(bytes.fromhex("81 0000018bcfe56800"))
    assert server.take_output() == bytes.fromhex("82 0000018bcfe56800")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("01 00000001 00000005 01 6e756c6c", "unknown operation 1"),
        ("01 00000001 00000005 81 6e756c6c", "answer out of turn"),
        ("80 00000001", "ACK out of turn"),
        ("01 00000001 00000003 00 7b22", "registration is malformed"),
        ("01 00000001 0000000b 00 7b224964223a2237227d", "registration is malformed"),
    ],
)
def test_a_stranger_must_register_first(text: str, reason: str) -> None:
    server = Session(Role.SERVER)
    assert reason in last(server.receive(bytes.fromhex(text)))
    assert server.state is State.CLOSED
    assert server.receive(REG) == []


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("01 00000002 00000009 00 7b224964223a377d", "REG out of turn"),
        ("01 00000002 00000005 81 6e756c6c", "which was not asked"),
        ("80 00000009", "ACK of frame 9"),
        ("80 00000001", "ACK of frame 1, which is not outstanding"),
        ("01 00000002 00000002 81 7b", "not JSON"),
    ],
)
def test_a_program_cannot_speak_out_of_turn(text: str, reason: str) -> None:
    assert reason in last(make_live_server().receive(bytes.fromhex(text)))


def test_what_came_before_the_violation_still_counts() -> None:
    server = make_live_server()
    server.ask(Ask.PING)
    events = server.receive(PING_ANSWER + b"\xff")
    assert events[0] == Answered(Ask.PING, None)
    assert "0xff" in last(events)


def test_a_hanging_program_is_not_asked_for_ever() -> None:
    server = make_live_server()
    for _ in range(MAX_OUTSTANDING):
        server.ask(Ask.PING)
    with pytest.raises(LocalError, match="hangs"):
        server.ask(Ask.PING)


def test_our_own_mistakes_are_local_errors() -> None:
    with pytest.raises(LocalError, match="a client cannot send request"):
        Session(Role.CLIENT).ask(Ask.PING)
    with pytest.raises(LocalError, match="not registered"):
        Session(Role.SERVER).ask(Ask.PING)


@given(st.sampled_from(list(Role)), st.booleans(), st.lists(st.binary(max_size=60), max_size=6))
def test_no_bytes_can_raise(role: Role, live: bool, chunks: list[bytes]) -> None:
    session = make_live_server() if live else Session(role)
    for chunk in chunks:
        session.receive(chunk)
