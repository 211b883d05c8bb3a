"""The protocol without I/O: two ends joined in memory, and the recorded session replayed against each."""

import pytest

from tests.viscript.signal.ends import ACK_1, REG_7, REG_ANSWER, join, make_live_pair, read_recorded, say
from viscript.signal.errors import LocalError
from viscript.signal.model import (
    ALL_EXTENSIONS,
    Answered,
    Ask,
    Asked,
    Broken,
    Command,
    Event,
    Extension,
    Late,
    Pid,
    Registered,
    Registering,
    Role,
    Text,
)
from viscript.signal.session import MAX_OUTSTANDING, Session, State

ASK_PING = bytes.fromhex("01 00000002 00000005 01 6e756c6c")
PING_ANSWER = bytes.fromhex("80 00000002 01 00000002 00000005 81 6e756c6c")
ASK_SHUTDOWN = bytes.fromhex("01 00000004 00000005 02 6e756c6c")


def make_live_server() -> Session:
    server = Session(Role.SERVER)
    assert say(server, REG_7) == [Registering(7)]
    server.accept()
    server.take_output()
    assert say(server, bytes.fromhex("80 00000001")) == []
    return server


def last(events: list[Event]) -> str:
    event = events[-1]
    assert isinstance(event, Broken)
    return event.reason


def test_a_server_says_the_recorded_bytes() -> None:
    server = Session(Role.SERVER)
    turns = {Ask.PING: Ask.TOP, Ask.TOP: Ask.SHUTDOWN}
    for who, raw in read_recorded():
        if who == "S":
            assert server.take_output() == raw
            continue
        for event in say(server, raw):
            match event:
                case Registering(7):
                    server.accept(ALL_EXTENSIONS)
                case Answered(op) if op in turns:
                    server.ask(turns[op])
                case Answered(Ask.SHUTDOWN, value):
                    assert value == Pid(17720)
        if raw == ACK_1:
            server.ask(Ask.PING)
    assert server.take_output() == bytes.fromhex("80 00000004")


def test_a_client_without_extensions_says_the_recorded_bytes() -> None:
    client = Session(Role.CLIENT)
    client.register(7)
    values = {Ask.PING: None, Ask.TOP: {"Alloc": 313744}, Ask.SHUTDOWN: Pid(17720)}
    for who, raw in read_recorded():
        if who == "C":
            assert client.take_output() == raw
            continue
        for event in say(client, raw):
            if isinstance(event, Asked):
                client.answer(event, values[event.op])
    assert client.take_output() == b""


def test_with_an_offer_only_the_registration_differs() -> None:
    """An original server drops keys that it does not know, or echoes them; neither accepts anything."""
    client = Session(Role.CLIENT)
    client.register(7, ALL_EXTENSIONS)
    reg = client.take_output()
    offer = b'{"Id":7,"Offer":["ids","report","log-level","command"]}'
    assert reg == REG_7[:5] + (len(offer) + 1).to_bytes(4, "big") + b"\0" + offer
    echo = reg[:9] + b"\x80" + reg[10:]
    for answer in (REG_ANSWER, ACK_1 + echo):
        client = Session(Role.CLIENT)
        client.register(7, ALL_EXTENSIONS)
        client.take_output()
        assert say(client, answer) == [Registered()]
        assert client.take_output() == ACK_1
        assert say(client, ASK_PING) == [Asked(Ask.PING)]
        client.answer(Asked(Ask.PING), None)
        assert client.take_output() == PING_ANSWER


def test_a_ping_is_answered_by_a_pong_of_the_same_time() -> None:
    server = make_live_server()
    say(server, bytes.fromhex("81 0000018bcfe56800"))
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
    assert reason in last(say(server, bytes.fromhex(text)))
    assert server.state is State.CLOSED
    assert say(server, REG_7) == []


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("01 00000002 00000009 00 7b224964223a377d", "REG out of turn"),
        ("01 00000002 00000005 81 6e756c6c", "which was not asked"),
        ("80 00000009", "ACK of frame 9"),
        ("80 00000001", "ACK of frame 1, which is not outstanding"),
    ],
)
def test_a_program_cannot_speak_out_of_turn(text: str, reason: str) -> None:
    assert reason in last(say(make_live_server(), bytes.fromhex(text)))


def test_what_came_before_the_violation_still_counts() -> None:
    server = make_live_server()
    server.ask(Ask.PING)
    events = say(server, PING_ANSWER + b"\xff")
    assert events[0] == Answered(Ask.PING, None, 1)
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


# extensions


def test_two_requests_at_once_do_not_cross() -> None:
    client, server = make_live_pair()
    first, second = server.ask(Ask.COMMAND, Command("a", ())), server.ask(Ask.COMMAND, Command("b", ("x",)))
    asked, _ = join(client, server)
    assert [event.value for event in asked if isinstance(event, Asked)] == [Command("a", ()), Command("b", ("x",))]
    for event in reversed(asked):
        assert isinstance(event, Asked)
        client.answer(event, Text(f"to {event.number}"))
    assert join(client, server)[1] == [
        Answered(Ask.COMMAND, Text(f"to {second}"), second),
        Answered(Ask.COMMAND, Text(f"to {first}"), first),
    ]


def test_a_late_answer_is_dropped_and_the_next_one_counts() -> None:
    client, server = make_live_pair()
    server.give_up(server.ask(Ask.PING))
    number = server.ask(Ask.PING)
    asked, _ = join(client, server)
    for event in asked:
        assert isinstance(event, Asked)
        client.answer(event, None)
    assert join(client, server)[1] == [Late(), Answered(Ask.PING, None, number)]


def test_without_ids_a_late_answer_keeps_its_turn() -> None:
    client, server = make_live_pair(frozenset())
    late = server.ask(Ask.PING)
    server.give_up(late)
    number = server.ask(Ask.PING)
    for event in join(client, server)[0]:
        assert isinstance(event, Asked)
        client.answer(event, None)
    assert join(client, server)[1] == [Answered(Ask.PING, None, late), Answered(Ask.PING, None, number)]


def test_a_numbered_request_on_the_wire() -> None:
    """The words of the module `model`, as bytes: bit 0x40, the id, JSON."""
    client, server = make_live_pair()
    server.ask(Ask.PING)
    raw = server.take_output()
    assert raw == bytes.fromhex("01 00000002 00000009 41 00000001 6e756c6c")
    assert say(client, raw) == [Asked(Ask.PING, None, 1)]
    client.answer(Asked(Ask.PING, None, 1), None)
    assert client.take_output() == bytes.fromhex("80 00000002 01 00000002 00000009 c1 00000001 6e756c6c")


def test_only_what_both_know_is_agreed_on() -> None:
    server = Session(Role.SERVER)
    text = b'{"Id":7,"Offer":["telepathy","report","ids"]}'
    say(server, REG_7[:5] + (len(text) + 1).to_bytes(4, "big") + b"\0" + text)
    server.accept(ALL_EXTENSIONS)
    assert server.extensions == {Extension.IDS, Extension.REPORT}
    assert server.take_output().endswith(b'{"Id":7,"Accept":["ids","report"]}')
    with pytest.raises(LocalError, match="COMMAND was not agreed on"):
        server.ask(Ask.COMMAND, Command("a", ()))


def test_without_ids_nothing_is_agreed_on() -> None:
    server = Session(Role.SERVER)
    text = b'{"Id":7,"Offer":["report"]}'
    say(server, REG_7[:5] + (len(text) + 1).to_bytes(4, "big") + b"\0" + text)
    server.accept(ALL_EXTENSIONS)
    assert server.extensions == frozenset()
    assert server.take_output().endswith(b'{"Id":7,"Accept":[]}')
    server.ask(Ask.PING)
    assert server.take_output() == bytes.fromhex("01 00000002 00000005 01 6e756c6c")


def test_too_long_a_body_is_not_sent() -> None:
    client, server = make_live_pair()
    with pytest.raises(LocalError, match="at most 10240 may be sent"):
        server.ask(Ask.COMMAND, Command("a", ("x" * 10_240,)))
    number = server.ask(Ask.COMMAND, Command("a", ()))
    join(client, server)
    asked = Asked(Ask.COMMAND, Command("a", ()), number)
    with pytest.raises(LocalError, match="at most 10240 may be sent"):
        client.answer(asked, Text("x" * 10_240))
    client.answer(asked, Text("short"))
    assert join(client, server)[1] == [Answered(Ask.COMMAND, Text("short"), number)]
    with pytest.raises(LocalError, match="answered already"):
        client.answer(asked, Text("again"))


def test_a_client_is_not_buried_under_requests() -> None:
    client, _ = make_live_pair()
    events = list[Event]()
    for number in range(1, MAX_OUTSTANDING + 2):
        body = b"\x43" + number.to_bytes(4, "big") + b"null"
        events += say(client, b"\x01" + bytes(4) + len(body).to_bytes(4, "big") + body)
    assert "a flood of requests" in last(events)
