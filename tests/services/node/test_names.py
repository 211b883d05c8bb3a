"""Names, their file, and the name server that answers for them: over real sockets, with a client written out here."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import Awaitable, Callable
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.addresses import session_address
from services.kernel.model import Endpoint
from services.keys import Identity, NodeId, new_seed
from services.node import resolver as resolver_module
from services.node.dns_wire import Code, Found, Kind, Question, answer, parse, refuse
from services.node.errors import AwayError, NameUnknownError, ResolverError
from services.node.names import Names, read_name
from services.node.resolver import MAX_AT_ONCE, MAX_CONNECTIONS, Resolver
from tests.services.node.between import Home, Manager, until

ALICE, BOB = (Identity(new_seed()).node_id for _ in range(2))
HERE = "127.7.7.7"
LOOPBACK = Endpoint(IPv4Address(HERE), 0)
"""Of these tests alone: a port that is free for UDP is free for TCP too."""


@pytest.fixture
def manager() -> Manager:
    made = Manager()
    made.names = {"bob": BOB, "alice": BOB}
    return made


@pytest.fixture
def names(tmp_path: Path, manager: Manager) -> Names:
    return Names(tmp_path / "pets.yaml", Home(ALICE, manager))


# names


def test_a_pet_name_wins(names: Names) -> None:
    names.set_pet("Alice", ALICE)
    found = asyncio.run(names.resolve("ALICE.sky."))
    assert (found.name, found.node_id, found.address, found.by) == ("alice", ALICE, str(session_address(ALICE)), "pet")
    names.set_pet("alice", "")
    found = asyncio.run(names.resolve("alice"))
    assert (found.node_id, found.by) == (BOB, "vouched")


def test_nobody_by_that_name(names: Names) -> None:
    for name in ("carol", "carol.sky", "", ".sky", "a.b.sky", "-" * 64, "ü", "a b"):
        with pytest.raises(NameUnknownError):
            asyncio.run(names.resolve(name))
    with pytest.raises(NameUnknownError, match="no pet name"):
        names.set_pet("carol", "")
    with pytest.raises(NameUnknownError, match="not a node id"):
        names.set_pet("carol", "x")


def test_an_id_needs_no_name(names: Names) -> None:
    assert asyncio.run(names.whom(ALICE)) == ALICE
    assert asyncio.run(names.whom("bob.sky")) == BOB


def test_pet_names_outlive_and_may_be_edited(names: Names, tmp_path: Path, manager: Manager) -> None:
    names.set_pet("alice", ALICE)
    assert [pet.name for pet in Names(tmp_path / "pets.yaml", Home(ALICE, manager)).pets()] == ["alice"]
    (tmp_path / "pets.yaml").write_text(f'pets:\n  bobby: "{BOB}"  # by hand\n')
    assert [(pet.name, pet.node_id) for pet in names.pets()] == [("bobby", BOB)]
    (tmp_path / "pets.yaml").unlink()
    assert names.pets() == ()


@pytest.mark.parametrize("text", ["pets: {a: b}", "pets: [", "dogs: {}", "pets: {a b: " + "0" * 64 + "}", "\x00"])
def test_a_file_with_a_fault_is_told(names: Names, tmp_path: Path, text: str) -> None:
    (tmp_path / "pets.yaml").write_text(text)
    with pytest.raises(NameUnknownError, match="pet"):
        names.pets()


def test_an_id_of_digits_alone_stays_an_id(names: Names, tmp_path: Path) -> None:
    """YAML would take it for a number."""
    names.set_pet("alice", ALICE)
    assert f'"{ALICE}"' in (tmp_path / "pets.yaml").read_text()


def test_without_a_manager_pets_go_on(tmp_path: Path, manager: Manager) -> None:
    names = Names(tmp_path / "pets.yaml", Home(ALICE, manager, is_connected=False))
    names.set_pet("alice", ALICE)
    assert asyncio.run(names.resolve("alice")).by == "pet"
    with pytest.raises(AwayError):
        asyncio.run(names.resolve("bob"))


def test_a_manager_that_vouches_for_nonsense(names: Names, manager: Manager) -> None:
    manager.names["evil"] = NodeId("f" * 64)
    with pytest.raises(NameUnknownError, match="vouches for what is no node"):
        asyncio.run(names.resolve("evil"))


def test_what_was_vouched_for_is_not_asked_each_time(names: Names, manager: Manager) -> None:
    async def test() -> None:
        assert (await names.resolve("bob")).node_id == BOB
        del manager.names["bob"]
        assert (await names.resolve("bob")).node_id == BOB

    asyncio.run(test())


@given(st.text(max_size=80))
def test_any_text_is_a_name_or_none(text: str) -> None:
    try:
        name = read_name(text)
    except NameUnknownError:
        return
    assert read_name(f"{name}.sky") == name
    assert name == name.lower()


# the wire


def ask(name: str, kind: int = Kind.AAAA, number: int = 7, flags: int = 0x0100, space: int = 1) -> bytes:
    labels = b"".join(bytes((len(label),)) + label.encode() for label in name.split(".") if label)
    return struct.pack(">HHHHHH", number, flags, 1, 0, 0, 0) + labels + b"\0" + struct.pack(">HH", kind, space)


def told(data: bytes) -> tuple[int, int, list[tuple[int, bytes]]]:
    """Number, code, records (kind, data)."""
    number, flags, questions, answers, _, more = struct.unpack_from(">HHHHHH", data)
    assert flags & 0x8000
    at = 12
    for _ in range(questions):
        while data[at]:
            at += 1 + data[at]
        at += 5
    records = []
    for _ in range(answers + more):
        name, kind, _, _, length = struct.unpack_from(">HHHIH", data, at)
        assert name == 0xC00C
        records.append((kind, data[at + 12 : at + 12 + length]))
        at += 12 + length
    assert at == len(data)
    return number, flags & 15, records


def test_a_question_is_read() -> None:
    question = parse(ask("Alice.SKY"))
    assert isinstance(question, Question)
    assert (question.number, question.name, question.kind) == (7, "alice.sky", Kind.AAAA)
    found = Found(IPv6Address("fd53::1"), "pet", 30)
    assert told(answer(question, Code.FINE, found)) == (
        7,
        0,
        [(28, IPv6Address("fd53::1").packed), (16, b"\x03pet")],
    )


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (ask("a.sky", flags=0x2800), Code.NOT_IMPLEMENTED),
        (ask("a.sky")[:-3], Code.MALFORMED),
        (ask("a" * 64 + ".sky"), Code.MALFORMED),
        (ask(".".join("a" * 40)), Code.MALFORMED),
        (struct.pack(">HHHHHH", 1, 0, 2, 0, 0, 0) + ask("a.sky")[12:], Code.MALFORMED),
        (struct.pack(">HHHHHH", 1, 0, 1, 0, 0, 0) + b"\xc0\x0c\0\x1c\0\1", Code.MALFORMED),
    ],
)
def test_what_makes_no_sense_gets_a_code(data: bytes, code: Code) -> None:
    assert parse(data) is code
    assert told(refuse(data, code))[1] == code


@given(st.binary(max_size=600))
def test_any_bytes_are_answered_or_not(data: bytes) -> None:
    question = parse(data)
    if isinstance(question, Code):
        assert told(refuse(data, question))[1] == question
    elif question is not None:
        found = Found(IPv6Address("fd53::1"), "pet", 30)
        assert told(answer(question, Code.FINE, found))[1] == Code.FINE


@given(st.binary(max_size=300))
def test_any_name_is_answered(tail: bytes) -> None:
    question = parse(ask("x")[:12] + tail)
    if isinstance(question, Question):
        assert question.raw == tail[: len(question.raw)]
        assert told(answer(question, Code.REFUSED))[1] == Code.REFUSED


def test_an_answer_is_never_answered() -> None:
    assert parse(ask("a.sky", flags=0x8000)) is None


# the server


def run(names: Names, test: Callable[[Resolver, int], Awaitable[None]]) -> None:
    async def go() -> None:
        resolver = Resolver(names)
        port = await resolver.start(LOOPBACK)
        try:
            async with asyncio.timeout(60):
                await test(resolver, port)
        finally:
            await resolver.close()

    asyncio.run(go())


def by_udp(port: int, data: bytes) -> bytes:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as end:
        end.settimeout(10)
        end.sendto(data, (HERE, port))
        return end.recv(4096)


def by_tcp(port: int, *questions: bytes) -> list[bytes]:
    found = []
    with socket.create_connection((HERE, port), 10) as end, end.makefile("rb") as answers:
        for data in questions:
            end.sendall(struct.pack(">H", len(data)) + data)
        for _ in questions:
            (length,) = struct.unpack(">H", answers.read(2))
            found.append(answers.read(length))
    return found


def test_names_are_answered(names: Names) -> None:
    names.set_pet("alice", ALICE)

    async def test(_: Resolver, port: int) -> None:
        pet, vouched = (session_address(node_id).packed for node_id in (ALICE, BOB))
        got = [told(await asyncio.to_thread(by_udp, port, ask(f"{name}.sky"))) for name in ("alice", "bob")]
        assert got == [(7, 0, [(28, pet), (16, b"\x03pet")]), (7, 0, [(28, vouched), (16, b"\x07vouched")])]
        both = await asyncio.to_thread(by_tcp, port, ask("alice.sky"), ask("bob.sky", Kind.TXT))
        assert [told(one)[2][0] for one in both] == [(28, pet), (16, b"\x07vouched")]

    run(names, test)


@pytest.mark.parametrize(
    ("question", "code"),
    [
        (ask("carol.sky"), Code.UNKNOWN_NAME),
        (ask("a.bob.sky"), Code.UNKNOWN_NAME),
        (ask("bob.sky", kind=1), Code.FINE),
        (ask("sky"), Code.FINE),
        (ask("example.org"), Code.REFUSED),
        (ask("bobsky"), Code.REFUSED),
        (ask(""), Code.REFUSED),
        (ask("bob.sky", space=3), Code.REFUSED),
        (ask("bob.sky") + b"junk", Code.FINE),
    ],
)
def test_codes(names: Names, question: bytes, code: Code) -> None:
    async def test(_: Resolver, port: int) -> None:
        number, got, records = told(await asyncio.to_thread(by_udp, port, question))
        assert (number, got) == (7, code)
        assert bool(records) == (question[:-4] == ask("bob.sky"))

    run(names, test)


def test_without_a_manager_it_failed_and_is_not_unknown(tmp_path: Path, manager: Manager) -> None:
    async def test(_: Resolver, port: int) -> None:
        assert told(await asyncio.to_thread(by_udp, port, ask("bob.sky")))[1] == Code.FAILED

    run(Names(tmp_path / "pets.yaml", Home(ALICE, manager, is_connected=False)), test)


@pytest.mark.parametrize("address", ["0.0.0.0", "::", "192.0.2.1", "fd53::1"])
def test_it_listens_on_loopback_alone(names: Names, address: str) -> None:
    with pytest.raises(ResolverError, match="loopback"):
        asyncio.run(Resolver(names).start(Endpoint(ip_address(address), 0)))


def test_a_flood_of_questions_is_dropped(tmp_path: Path) -> None:
    """Questions that a manager must be asked for pile up, and the rest is dropped; then it answers again."""

    class Slow(Names):
        held = asyncio.Event()

        async def resolve(self, name: str) -> object:  # type: ignore[override]
            await self.held.wait()
            return await super().resolve(name)

    names = Slow(tmp_path / "pets.yaml", Home(ALICE, Manager()))

    async def test(resolver: Resolver, port: int) -> None:
        names.set_pet("alice", ALICE)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as end:
            for number in range(3 * MAX_AT_ONCE):
                end.sendto(ask("alice.sky", number=number), (HERE, port))
                if number % 32 == 31:
                    await until(lambda sent=number + 1: len(resolver._asking) + resolver.dropped == sent)  # type: ignore[misc]
            assert resolver.dropped == 2 * MAX_AT_ONCE
            assert len(resolver._asking) == MAX_AT_ONCE
            names.held.set()
            await until(lambda: not resolver._asking)
        assert told(await asyncio.to_thread(by_udp, port, ask("alice.sky")))[1] == Code.FINE

    run(names, test)


def test_idle_connections_are_left(names: Names, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resolver_module, "CONNECTION_S", 0.5)

    async def test(resolver: Resolver, port: int) -> None:
        ends = [socket.create_connection((HERE, port), 10) for _ in range(MAX_CONNECTIONS)]
        await until(lambda: len(resolver._connections) == MAX_CONNECTIONS)
        with socket.create_connection((HERE, port), 10) as more:
            await until(lambda: resolver.dropped == 1)
            with contextlib.suppress(ConnectionResetError):
                assert await asyncio.to_thread(more.recv, 1) == b""
        await until(lambda: not resolver._connections)
        for end in ends:
            end.close()
        assert told((await asyncio.to_thread(by_tcp, port, ask("bob.sky")))[0])[1] == Code.FINE

    run(names, test)


def test_a_connection_with_nonsense_ends(names: Names) -> None:
    async def test(_: Resolver, port: int) -> None:
        for data in (b"\xff\xff", struct.pack(">H", 3) + b"abc"):
            with socket.create_connection((HERE, port), 10) as end:
                end.sendall(data)
                assert await asyncio.to_thread(end.recv, 1) == b""

    run(names, test)
