"""What every backend promises, tried on both with real programs."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.viscript.launcher.backends import (
    CONFIG,
    is_dead,
    launch,
    make_backend,
    record,
    run_backend,
    wait_file,
    wait_until,
)
from viscript.errors import StartError
from viscript.launcher.model import App, Launch, Process, Signal
from viscript.launcher.process.door import Backend
from viscript.launcher.process.group import GroupBackend
from viscript.launcher.process.procfs import is_running


@pytest.fixture(params=["group", "unit"])
def backend(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Backend]:
    with run_backend(request.param, tmp_path) as made:
        yield made


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


def test_a_folder_that_is_not_there_is_said_to_be(tmp_path: Path) -> None:
    app = App("lost", "/bin/true", cwd=str(tmp_path / "none"))
    with pytest.raises(StartError, match=f"^cannot start '/bin/true': cwd '{tmp_path}/none': No such file"):
        asyncio.run(GroupBackend(tmp_path).start(Launch(2, app, (), (app.path,), {})))


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

    asyncio.run(main())
    assert list((tmp_path / "state").iterdir()) == [], "no file is left behind"
