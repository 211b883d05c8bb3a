"""What every backend promises, tried on both with real programs."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.viscript.launcher.backends import make_backend, wait_until
from viscript.errors import StartError
from viscript.launcher.model import App, Launch, Process, Record, Signal
from viscript.launcher.process.door import Backend
from viscript.launcher.process.procfs import is_running, measure

CONFIG = """
apps:
  sleeper: {path: sleeper, daemon: true}
  family: {path: family, daemon: true}
  stubborn: {path: stubborn, daemon: true}
  brief: {path: brief, daemon: true}
  missing: {path: missing, daemon: true}
"""
PROGRAMS = {
    "sleeper": "exec sleep 60",
    "family": 'sleep 61 & echo $! > "$1"; sleep 62',
    "stubborn": 'trap "" TERM; echo ready > "$1"; while :; do sleep 1; done',
    "brief": "echo said; sleep 0.3; exit 3",
}


@pytest.fixture(params=["group", "unit"])
def backend(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Backend]:
    for name, text in PROGRAMS.items():
        file = tmp_path / name
        file.write_text(f"#!/bin/sh\n{text}\n")
        file.chmod(0o755)
    with make_backend(request.param, tmp_path, CONFIG) as made:
        yield made
        made.close()


def launch(directory: Path, name: str, *args: str, app_id: int = 2) -> Launch:
    return Launch(app_id, App(name=name, path=name), args, (str(directory / name), *args), {})


def record(directory: Path, name: str, process: Process | None, app_id: int = 2) -> Record:
    return Record(app_id, name, (), (str(directory / name),), 0.0, process)


async def wait_file(path: Path) -> str:
    """What the program has written there, once it has."""
    await asyncio.to_thread(wait_until, lambda: path.exists() and path.read_text().strip())
    return await asyncio.to_thread(path.read_text)


def is_dead(pid: int) -> bool:
    state = Path(f"/proc/{pid}/stat")
    return not state.exists() or ") Z " in state.read_text()


def test_a_program_is_started_asked_to_end_and_gone(backend: Backend, tmp_path: Path) -> None:
    async def main() -> None:
        process = await backend.start(launch(tmp_path, "sleeper"))
        assert is_running(process)
        await backend.kill(2, process, Signal.TERM)
        await asyncio.wait_for(backend.wait_gone(2, process), 10)
        assert not is_running(process)
        assert await backend.find([record(tmp_path, "sleeper", process)]) == []

    asyncio.run(main())


def test_the_whole_family_ends(backend: Backend, tmp_path: Path) -> None:
    async def main() -> None:
        noted = tmp_path / "child"
        process = await backend.start(launch(tmp_path, "family", str(noted)))
        child = int(await wait_file(noted))
        await backend.kill(2, process, Signal.KILL)
        await asyncio.wait_for(backend.wait_gone(2, process), 10)
        await asyncio.to_thread(wait_until, lambda: is_dead(child))

    asyncio.run(main())


def test_a_stubborn_program_goes_by_kill(backend: Backend, tmp_path: Path) -> None:
    async def main() -> None:
        process = await backend.start(launch(tmp_path, "stubborn", str(tmp_path / "ready")))
        await wait_file(tmp_path / "ready")
        await backend.kill(2, process, Signal.TERM)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(backend.wait_gone(2, process), 0.5)
        await backend.kill(2, process, Signal.KILL)
        await asyncio.wait_for(backend.wait_gone(2, process), 10)

    asyncio.run(main())


def test_a_program_that_is_not_there_is_said_to_be(backend: Backend, tmp_path: Path) -> None:
    with pytest.raises(StartError, match=r"missing.*No such file"):
        asyncio.run(backend.start(launch(tmp_path, "missing")))


def test_running_programs_are_found_by_their_records(backend: Backend, tmp_path: Path) -> None:
    async def main() -> None:
        process = await backend.start(launch(tmp_path, "sleeper", app_id=4))
        gone = Process(process.pid, process.start_ticks + 1)
        found = await backend.find([record(tmp_path, "sleeper", process, 4)])
        assert [(one.id, one.app, one.process) for one in found] == [(4, "sleeper", process)]
        assert not is_running(gone), "another start time is another process"
        await backend.kill(4, process, Signal.KILL)
        await backend.wait_gone(4, process)

    asyncio.run(main())


def test_what_ends_by_itself_is_noticed_without_asking(backend: Backend, tmp_path: Path) -> None:
    async def main() -> None:
        process = await backend.start(launch(tmp_path, "brief"))
        ended = await asyncio.wait_for(backend.wait_gone(2, process), 10)
        assert ended.code in {3, None}
        await backend.kill(2, process, Signal.TERM)

    asyncio.run(main())


def test_what_a_program_uses_is_measured(backend: Backend, tmp_path: Path) -> None:
    async def main() -> None:
        process = await backend.start(launch(tmp_path, "sleeper"))
        usage = await measure(process)
        assert usage is not None
        assert usage.pid == process.pid
        assert usage.rss > 100_000
        assert 0 <= usage.uptime_s < 60
        await backend.kill(2, process, Signal.KILL)
        await backend.wait_gone(2, process)
        assert await measure(process) is None

    asyncio.run(main())


def test_a_start_cut_short_is_found_by_its_mark(tmp_path: Path) -> None:
    """Killed between the start and the note of its pid: only process groups have that gap."""
    (tmp_path / "sleeper").write_text("#!/bin/sh\nexec sleep 60\n")
    (tmp_path / "sleeper").chmod(0o755)

    async def main() -> None:
        with make_backend("group", tmp_path, CONFIG) as backend:
            process = await backend.start(launch(tmp_path, "sleeper"))
            found = await backend.find([record(tmp_path, "sleeper", None)])
            while not found:  # the mark cannot be read while the shell becomes sleep; pytest's timeout is the deadline
                found = await backend.find([record(tmp_path, "sleeper", None)])
            assert [one.process for one in found] == [process]
            await backend.kill(2, process, Signal.KILL)
            ended = await backend.wait_gone(2, process)
            assert ended.code == -9
            await backend.forget(2)
            assert list((tmp_path / "state").iterdir()) == [], "no file is left behind"

    asyncio.run(main())
