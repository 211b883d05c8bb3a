"""Bad company, kept: each file of `corpus` is bytes that a client sent, and what it must be told. What a fuzzer finds
is added there. Whatever came, the next client is served as if nothing had been.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.apptracker.brain import Directory
from services.apptracker.errors import WireError
from services.apptracker.server import TrackerServer
from services.apptracker.wire import LineReader
from tests.services.apptracker.test_server import exchange, run_tracker

CORPUS = Path(__file__).with_name("corpus")
FINE = "no error"


@dataclass(frozen=True, slots=True)
class Case:
    name: str
    says: str
    data: bytes


def read_case(file: Path) -> Case:
    says, *lines = file.read_text().splitlines()
    return Case(file.stem, says.removeprefix("says: "), bytes.fromhex("".join(lines)))


CASES = [read_case(file) for file in sorted(CORPUS.glob("*.txt"))]


def test_each_is_told_what_is_wrong_and_the_next_is_served() -> None:
    async def work(_server: TrackerServer, host: str, port: int) -> None:
        for case in CASES:
            said = (await exchange(host, port, case.data)).decode()
            is_fine = "error" not in said
            assert (case.says == FINE and is_fine) or (case.says != FINE and case.says in said), (case.name, said)
            assert b"entries" in await exchange(host, port, b'{"do":"query"}\n'), case.name

    assert len(CASES) > 25
    run_tracker(work)


words = st.sampled_from(["register", "renew", "deregister", "query", "", "drop"])
values = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=80), st.just([{}]))
keys = st.sampled_from(["name", "endpoint", "key", "lease_s", "type", "lease", "other"])
requests = st.builds(lambda do, rest: {"do": do, **rest}, words, st.dictionaries(keys, values, max_size=5))


async def feed(data: bytes) -> None:
    """As one connection does it: what is no request ends it, and nothing else is raised."""
    server, lines = TrackerServer(Directory(lambda: "lease")), LineReader()
    try:
        for line in lines.feed(data):
            assert (await server.answer(line, "h")).endswith(b"\n")
    except WireError:
        pass
    assert b"entries" in await server.answer(b'{"do":"query"}', "h")


@given(st.lists(st.one_of(st.binary(max_size=300), st.text(max_size=100).map(str.encode)), max_size=5))
def test_bytes_of_all_kinds(pieces: list[bytes]) -> None:
    asyncio.run(feed(b"\n".join((*pieces, b""))))


@given(st.lists(requests, max_size=5))
def test_requests_of_all_kinds(asked: list[dict[str, object]]) -> None:
    asyncio.run(feed("".join(f"{json.dumps(one)}\n" for one in asked).encode()))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_corpus_in_memory(case: Case) -> None:
    asyncio.run(feed(case.data))
