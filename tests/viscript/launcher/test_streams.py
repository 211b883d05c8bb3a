"""What programs write and what is typed into them, the same for both backends."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.viscript.launcher.backends import launch, run_backend, wait_until
from viscript.errors import StartError
from viscript.launcher.model import Output, Process, Signal
from viscript.launcher.process.door import Backend
from viscript.launcher.process.ring import LIMIT

ECHO = 'while read -r line; do echo "got $line"; done; echo end of input'
FLOOD = 'i=0; while [ $i -lt 60000 ]; do echo "line $i of many"; i=$((i+1)); done; echo done; sleep 60'


@pytest.fixture(params=["group", "unit"])
def backend(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Backend]:
    with run_backend(request.param, tmp_path) as made:
        yield made


async def read_until(backend: Backend, wanted: bytes) -> Output:
    """All that is kept, once the program has said that."""
    deadline = asyncio.get_running_loop().time() + 40
    while wanted not in (output := await backend.read_output(2, 0, 1 << 20)).data:
        assert asyncio.get_running_loop().time() < deadline, output.data[-1000:]
        await asyncio.sleep(0.02)
    return output


def size_on_disk(directory: Path) -> int:
    return sum(file.stat().st_blocks * 512 for file in directory.glob("*/2.out"))


async def write_until_full(backend: Backend) -> None:
    while True:
        await backend.write_input(2, b"x" * 4095 + b"\n")


async def end(backend: Backend, process: Process) -> None:
    await backend.kill(2, process, Signal.KILL)
    await asyncio.wait_for(backend.wait_gone(2, process), 20)
    await backend.forget(2)


def test_output_is_read_by_offset(backend: Backend, tmp_path: Path) -> None:
    async def main() -> None:
        assert await backend.read_output(2, 0, 100) == Output(0, b"")
        process = await backend.start(launch(tmp_path, "shell", "-c", "echo first; echo second >&2; sleep 60"))
        output = await read_until(backend, b"second\n")
        assert output == Output(0, b"first\nsecond\n")
        assert await backend.read_output(2, 6, 3) == Output(6, b"sec")
        assert await backend.read_output(2, output.end, 100) == Output(13, b"")
        assert await backend.read_output(2, -7, 100) == Output(6, b"second\n")
        assert await backend.read_output(2, -1000, 100) == Output(0, b"first\nsecond\n")
        await end(backend, process)

    asyncio.run(main())


def test_output_stays_until_it_is_forgotten(backend: Backend, tmp_path: Path) -> None:
    async def main() -> None:
        process = await backend.start(launch(tmp_path, "shell", "-c", "echo one; echo two"))
        ended = await asyncio.wait_for(backend.wait_gone(2, process), 20)
        assert ended.last_lines == ("one", "two")
        assert (await backend.read_output(2, -100, 100)).data == b"one\ntwo\n"
        await backend.forget(2)
        assert await backend.read_output(2, 0, 100) == Output(0, b"")

    asyncio.run(main())


def test_a_flood_is_cut_to_its_end_and_offsets_stay_true(backend: Backend, tmp_path: Path) -> None:
    total = len("".join(f"line {number} of many\n" for number in range(60_000))) + len("done\n")

    async def main() -> None:
        process = await backend.start(launch(tmp_path, "shell", "-c", FLOOD))
        watch = asyncio.ensure_future(backend.wait_gone(2, process))
        assert (await read_until(backend, b"done\n")).end == total
        await asyncio.to_thread(wait_until, lambda: size_on_disk(tmp_path) <= 3 * LIMIT)
        output = await backend.read_output(2, 0, 1 << 20)
        assert output.end == total
        assert output.data.endswith(b"line 59999 of many\ndone\n")
        assert b"\0" not in output.data
        assert LIMIT <= len(output.data) < 2 * LIMIT
        watch.cancel()
        await end(backend, process)

    asyncio.run(main())


def test_what_is_typed_arrives_and_never_ends(backend: Backend, tmp_path: Path) -> None:
    async def main() -> None:
        process = await backend.start(launch(tmp_path, "shell", "-c", ECHO))
        for word in (b"this\n", b"that\n"):
            await backend.write_input(2, word)
            await read_until(backend, b"got " + word)
        assert b"end of input" not in (await backend.read_output(2, 0, 1000)).data
        await end(backend, process)
        with pytest.raises(StartError, match="has no input"):
            await backend.write_input(2, b"late\n")

    asyncio.run(main())


def test_a_daemon_takes_no_input(backend: Backend, tmp_path: Path) -> None:
    async def main() -> None:
        process = await backend.start(launch(tmp_path, "daemon", "-c", ECHO))
        assert (await read_until(backend, b"end of input")).data == b"end of input\n"
        with pytest.raises(StartError, match="it is a daemon"):
            await backend.write_input(2, b"x")
        await end(backend, process)

    asyncio.run(main())


def test_input_that_nobody_reads_is_refused_whole(backend: Backend, tmp_path: Path) -> None:
    async def main() -> None:
        process = await backend.start(launch(tmp_path, "shell", "-c", "sleep 60"))
        with pytest.raises(StartError, match="4097 bytes of input at once"):
            await backend.write_input(2, b"x" * 4097)
        with pytest.raises(StartError, match="does not read its input"):
            await asyncio.wait_for(write_until_full(backend), 20)
        with pytest.raises(StartError, match="does not read its input"):
            await backend.write_input(2, b"y" * 4096)
        await end(backend, process)

    asyncio.run(main())
