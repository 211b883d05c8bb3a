"""Bad company, kept: each file of `corpus` is bytes that one end got, in a state, and what it must say of them.

What a fuzzer finds is added there, so that it stays found.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.viscript.signal.ends import REG_7, expect_closed, make_live_pair, run_with_server, say
from viscript.signal import SignalClient, SignalServer
from viscript.signal.model import ALL_EXTENSIONS, Address, Ask, Broken, Role
from viscript.signal.session import Session, State
from viscript.signal.settings import Settings

CORPUS = Path(__file__).with_name("corpus")
PLAIN = ALL_EXTENSIONS - ALL_EXTENSIONS


def fresh(role: Role) -> Session:
    return Session(role)


def offering_client() -> Session:
    client = Session(Role.CLIENT)
    client.register(7, ALL_EXTENSIONS)
    return client


def asking_server() -> Session:
    server = make_live_pair(PLAIN)[1]
    for op in (Ask.PING, Ask.TOP, Ask.SHUTDOWN):
        server.ask(op)
    return server


def asking_extended(op: Ask) -> Session:
    server = make_live_pair()[1]
    server.ask(op)
    return server


STATES: dict[str, Callable[[], Session]] = {
    "fresh server": lambda: fresh(Role.SERVER),
    "live server": lambda: make_live_pair(PLAIN)[1],
    "asking server": asking_server,
    "extended server": lambda: asking_extended(Ask.PING),
    "reporting server": lambda: asking_extended(Ask.REPORT),
    "fresh client": lambda: fresh(Role.CLIENT),
    "offering client": offering_client,
    "live client": lambda: make_live_pair(PLAIN)[0],
    "extended client": lambda: make_live_pair()[0],
}


@dataclass(frozen=True, slots=True)
class Case:
    name: str
    at: str
    says: str
    data: bytes


def read_case(file: Path) -> Case:
    at, says, *lines = file.read_text().splitlines()
    return Case(file.stem, at.removeprefix("at: "), says.removeprefix("says: "), bytes.fromhex("".join(lines)))


CASES = [read_case(file) for file in sorted(CORPUS.glob("*.txt"))]
BROKEN_STRANGERS = [case for case in CASES if case.at == "fresh server" and case.says != "nothing"]
BROKEN_PROGRAMS = [case for case in CASES if case.at == "live server" and case.says != "nothing"]


def test_the_corpus_is_there() -> None:
    assert len(CASES) > 40
    assert {case.at for case in CASES} == set(STATES)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
@pytest.mark.parametrize("size", [1, 7, 65536])
def test_each_says_what_is_wrong_however_it_is_chopped(case: Case, size: int) -> None:
    session = STATES[case.at]()
    events = []
    for start in range(0, len(case.data), size):
        events += say(session, case.data[start : start + size])
    if case.says == "nothing":
        assert session.state is not State.CLOSED
        return
    assert isinstance(events[-1], Broken), events
    assert case.says in events[-1].reason
    assert session.state is State.CLOSED
    assert say(session, REG_7) == []


@pytest.mark.parametrize("case", BROKEN_STRANGERS + BROKEN_PROGRAMS, ids=lambda case: case.name)
def test_a_server_shows_them_out_and_its_neighbour_does_not_notice(
    case: Case, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")

    async def work(server: SignalServer, address: Address) -> None:
        async with SignalClient(Settings(True, address, 2)):
            await server.wait_connected(2, 20)
            await expect_closed(address, case.data, registered=case in BROKEN_PROGRAMS)
            assert await server.ping(2) < 20
        warnings = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
        assert any(case.says in text for text in warnings), warnings

    run_with_server(work)


frames = st.one_of(
    st.binary(max_size=40),
    st.builds(
        lambda seq, code, text: b"\x01" + seq.to_bytes(4, "big") + (len(text) + 1).to_bytes(4, "big") + code + text,
        st.integers(0, 5),
        st.sampled_from([bytes((code,)) for code in (0, 1, 2, 3, 4, 5, 0x41, 0x80, 0x81, 0x82, 0xC0, 0xC1, 0xC3)]),
        st.sampled_from([b"null", b"{}", b'{"Id":7}', b"\0\0\0\1null", b'\0\0\0\1{"Pid":1}', b"\0\0\0\2{}", b"[", b""]),
    ),
    st.builds(lambda kind, seq: kind + seq.to_bytes(4, "big"), st.sampled_from([b"\x80"]), st.integers(0, 4)),
    st.builds(lambda kind: kind + bytes(8), st.sampled_from([b"\x81", b"\x82"])),
)


@given(st.sampled_from(sorted(STATES)), st.lists(frames, max_size=8))
@example("live server", [b"\x80\0\0\0\1"])
def test_no_bytes_can_raise_and_a_violation_is_the_last_event(state: str, chunks: list[bytes]) -> None:
    session = STATES[state]()
    events = [event for chunk in chunks for event in say(session, chunk)]
    assert not any(isinstance(event, Broken) for event in events[:-1])
    assert (session.state is State.CLOSED) == (bool(events) and isinstance(events[-1], Broken))
