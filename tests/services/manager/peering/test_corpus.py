"""Bad company, kept: each file of `corpus` is bytes that came to the port of peers, and what was said to them. What a
fuzzer finds is added there. Whatever came, the next one is answered as if nothing had been.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from services.manager.peering import words as said
from services.manager.server_config import Address
from tests.services.manager.peering.test_line import listening, say

CORPUS = Path(__file__).with_name("corpus")
FINE, NOTHING = "no error", "nothing"
SOUND = msgspec.json.encode(said.Drop(())) + b"\n"


def read_case(file: Path) -> tuple[str, str, bytes]:
    says, *lines = file.read_text().splitlines()
    return file.stem, says.removeprefix("says: "), bytes.fromhex("".join(lines))


CASES = [read_case(file) for file in sorted(CORPUS.glob("*.txt"))]


def test_each_is_told_what_is_wrong_and_the_next_is_answered() -> None:
    async def test(at: Address) -> None:
        for name, says, data in CASES:
            told = (await say(at, data)).decode()
            if says == NOTHING:
                assert not told, (name, told)
            elif says == FINE:
                assert '"is":"heard"' in told, (name, told)
            else:
                assert '"is":"refused"' in told, (name, told)
                assert says in told, (name, told)
            assert b'"heard"' in await say(at, SOUND), name

    assert len(CASES) >= 30
    listening(test)


def test_bytes_of_all_kinds_on_the_wire() -> None:
    async def test(at: Address) -> None:
        loop = asyncio.get_running_loop()

        @settings(max_examples=40)
        @given(st.binary(max_size=300) | st.text(max_size=100).map(str.encode))
        def fuzz(data: bytes) -> None:
            told = asyncio.run_coroutine_threadsafe(say(at, data + b"\n"), loop).result(20)
            assert b'"refused"' in told

        await asyncio.to_thread(fuzz)
        assert b'"heard"' in await say(at, SOUND)

    listening(test)
