"""Two probers on loopback, and packets no prober would send."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from ipaddress import IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.keys import Identity, new_seed, shared_key
from services.node.errors import ProbeLostError
from services.node.probe_wire import (
    LARGEST,
    NUMBER_BYTES,
    SMALLEST,
    Kind,
    Pair,
    Probe,
    answer,
    is_sealed,
    parse,
    question,
)
from services.node.probes import BURST, Prober

HERE, ELSEWHERE = IPv6Address("::1"), IPv6Address("::2")
A, B, C = (Identity(new_seed()) for _ in range(3))
PAIR = Pair(A.node_id, B.node_id, shared_key(A, B.node_id))
NUMBER = b"12345678"
WITHIN_S = 10.0


def parsed(data: bytes) -> Probe:
    probe = parse(data)
    assert probe is not None
    return probe


# the bytes


def test_both_ends_share_a_key_and_nobody_else() -> None:
    assert shared_key(A, B.node_id) == shared_key(B, A.node_id)
    assert shared_key(A, B.node_id) != shared_key(A, C.node_id)
    assert shared_key(A, B.node_id).reveal() not in (A.session_secret().reveal(), B.session_secret().reveal())


def test_a_question_and_its_answer() -> None:
    asked = parsed(question(PAIR, NUMBER, HERE, 0))
    assert (asked.kind, asked.number) == (Kind.QUESTION, NUMBER)
    assert is_sealed(PAIR, asked, HERE)
    answered = parsed(answer(PAIR, asked, HERE))
    assert (answered.kind, answered.number) == (Kind.ANSWER, NUMBER)
    assert is_sealed(PAIR, answered, HERE)


@given(st.integers(0, 2000))
def test_an_answer_is_as_long_as_its_question(size: int) -> None:
    asked = question(PAIR, NUMBER, HERE, size)
    assert len(answer(PAIR, parsed(asked), HERE)) == len(asked)
    assert len(asked) + 48 >= min(size, 1500)
    assert len(asked) <= max(SMALLEST, size - 48)


@given(st.binary(max_size=1600))
def test_any_bytes_are_parsed_or_not(data: bytes) -> None:
    probe = parse(data)
    if probe is not None:
        assert bytes((probe.kind,)) + probe.number + probe.seal + probe.filling == data
        assert not is_sealed(PAIR, probe, HERE)
    else:
        assert not SMALLEST <= len(data) <= LARGEST or data[0] not in tuple(Kind)


@given(st.integers(0, SMALLEST + 20), st.integers(1, 255))
def test_any_change_breaks_the_seal(at: int, change: int) -> None:
    data = bytearray(question(PAIR, NUMBER, HERE, 48 + SMALLEST + 21))
    data[at] ^= change
    probe = parse(bytes(data))
    assert probe is None or not is_sealed(PAIR, probe, HERE)


def test_a_seal_holds_for_one_direction_and_one_address() -> None:
    asked = parsed(question(PAIR, NUMBER, HERE, 0))
    assert not is_sealed(PAIR, asked, ELSEWHERE)
    assert not is_sealed(Pair(B.node_id, A.node_id, PAIR.key), asked, HERE)


# the socket


@asynccontextmanager
async def probers(*identities: Identity) -> AsyncIterator[list[Prober]]:
    made = [Prober(identity) for identity in identities]
    try:
        for prober in made:
            await prober.start(0)
        yield made
    finally:
        for prober in made:
            await prober.close()


def run(test: Callable[[Prober, Prober], Awaitable[None]]) -> None:
    async def go() -> None:
        async with probers(A, B) as (a, b):
            a.know(HERE, B.node_id)
            b.know(HERE, A.node_id)
            async with asyncio.timeout(30):
                await test(a, b)

    asyncio.run(go())


async def until(true: Callable[[], bool]) -> None:
    for _ in range(2000):
        if true():
            return
        await asyncio.sleep(0.005)
    pytest.fail("waited in vain")


def send(data: bytes, port: int) -> socket.socket:
    end = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    end.sendto(data, ("::1", port))
    return end


@pytest.mark.parametrize("size", [0, 1280, 1420])
def test_a_probe_comes_back(size: int) -> None:
    async def test(a: Prober, b: Prober) -> None:
        assert 0 < await a.probe(HERE, size=size, within_s=WITHIN_S, port=b.port) < WITHIN_S
        assert b.counts.answered == 1

    run(test)


def test_a_note_is_read_at_the_other_end() -> None:
    async def test(a: Prober, b: Prober) -> None:
        heard = list[tuple[str, str, bytes]]()
        b.on_note = lambda who, where, note: heard.append((who, str(where), note))
        await a.probe(HERE, within_s=WITHIN_S, port=b.port)
        await a.probe(HERE, note=b"hello", within_s=WITHIN_S, port=b.port)
        await a.probe(HERE, note=b"hello", size=200, within_s=WITHIN_S, port=b.port)
        assert heard == [(A.node_id, "::1", b"hello"), (A.node_id, "::1", b"hello".ljust(16, b"\0"))]

    run(test)


def test_many_at_once_find_their_own_answers() -> None:
    async def test(a: Prober, b: Prober) -> None:
        times = await asyncio.gather(*(a.probe(HERE, within_s=WITHIN_S, port=b.port) for _ in range(40)))
        assert len(times) == b.counts.answered == 40

    run(test)


def test_nobody_is_answered_who_is_not_known() -> None:
    async def test(a: Prober, b: Prober) -> None:
        b.forget(HERE)
        with pytest.raises(ProbeLostError, match=r"no answer from '::1' within 0\.1 s"):
            await a.probe(HERE, within_s=0.1, port=b.port)
        await until(lambda: b.counts.unknown == 1)
        a.forget(HERE)
        with pytest.raises(ProbeLostError, match="nobody is known"):
            await a.probe(HERE, within_s=0.1, port=b.port)

    run(test)


def test_another_identity_is_not_answered() -> None:
    async def test(a: Prober, b: Prober) -> None:
        b.know(HERE, C.node_id)
        with pytest.raises(ProbeLostError):
            await a.probe(HERE, within_s=0.1, port=b.port)
        await until(lambda: b.counts.forged == 1)
        assert b.counts.answered == 0

    run(test)


def test_forged_and_broken_packets_are_counted_and_get_nothing() -> None:
    async def test(_: Prober, b: Prober) -> None:
        forged = Pair(A.node_id, B.node_id, shared_key(C, B.node_id))
        ends = [send(question(forged, NUMBER, HERE, 0), b.port), send(b"junk", b.port), send(b"", b.port)]
        ends.append(send(answer(PAIR, parsed(question(PAIR, NUMBER, HERE, 0)), HERE), b.port))
        await until(lambda: (b.counts.forged, b.counts.malformed, b.counts.late) == (1, 2, 1))
        for end in ends:
            with pytest.raises(BlockingIOError):
                end.recv(2000, socket.MSG_DONTWAIT)
            end.close()
        assert b.counts.answered == 0

    run(test)


def test_an_answer_of_somebody_else_ends_no_wait() -> None:
    async def test(a: Prober, _: Prober) -> None:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as forger:
            forger.bind(("::1", 0))
            forger.setblocking(False)
            waiting = asyncio.create_task(a.probe(HERE, within_s=0.5, port=forger.getsockname()[1]))
            data = await asyncio.get_running_loop().sock_recv(forger, 2000)
            number = data[1 : 1 + NUMBER_BYTES]
            key = Pair(A.node_id, B.node_id, shared_key(C, B.node_id))
            forger.sendto(answer(key, parsed(question(key, number, HERE, 0)), HERE), ("::1", a.port))
            await until(lambda: a.counts.forged == 1)
            forger.sendto(data, ("::1", a.port))  # the question itself, sent back
            await until(lambda: a.counts.forged == 2)
            with pytest.raises(ProbeLostError):
                await waiting

    run(test)


def test_a_flood_is_answered_up_to_the_cap() -> None:
    async def test(a: Prober, b: Prober) -> None:
        asked = question(PAIR, NUMBER, HERE, 0)
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as end:
            for turn in range(1, 5):
                for _ in range(BURST):
                    end.sendto(asked, ("::1", b.port))
                await until(lambda turn=turn: b.counts.answered + b.counts.unanswered == turn * BURST)  # type: ignore[misc]
        assert b.counts.answered < 2 * BURST
        assert b.counts.unanswered > 2 * BURST
        assert a.counts.late == 0

    run(test)


def test_a_closed_prober_leaves_nobody_waiting() -> None:
    async def test(a: Prober, b: Prober) -> None:
        b.forget(HERE)
        waiting = asyncio.create_task(a.probe(HERE, within_s=WITHIN_S, port=b.port))
        await until(lambda: b.counts.unknown == 1)
        await a.close()
        with pytest.raises(ProbeLostError, match="stops"):
            await waiting

    run(test)


def test_keys_are_forgotten_with_their_last_address() -> None:
    prober = Prober(A)
    prober.know(HERE, B.node_id)
    prober.know(ELSEWHERE, B.node_id)
    prober.know(HERE, C.node_id)
    assert set(prober._keys) == {B.node_id, C.node_id}
    prober.forget(ELSEWHERE)
    prober.forget(HERE)
    prober.forget(HERE)
    assert not prober._keys
