"""How programs end: exit codes, all of the family, and the id free again; the same for both backends."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.viscript.launcher.backends import is_dead, launch, record, run_backend, wait_file, wait_until
from viscript.launcher.model import Signal
from viscript.launcher.process.door import Backend, Exit
from viscript.launcher.process.group import GroupBackend
from viscript.launcher.process.procfs import is_running


@pytest.fixture(params=["group", "unit"])
def backend(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Backend]:
    with run_backend(request.param, tmp_path) as made:
        yield made


@pytest.mark.parametrize(
    ("script", "code"),
    [("exit 0", 0), ("exit 3", 3), ("kill -9 $$", -9), ("kill -15 $$", -15), ("trap 'exit 0' TERM; kill -15 $$", 0)],
)
def test_the_exit_code_is_told(backend: Backend, tmp_path: Path, script: str, code: int) -> None:
    async def main() -> None:
        process = await backend.start(launch(tmp_path, "daemon", "-c", f"echo said; {script}"))
        assert await asyncio.wait_for(backend.wait_gone(2, process), 20) == Exit(code, ("said",))
        await backend.kill(2, process, Signal.TERM)
        await backend.forget(2)

    asyncio.run(main())


def test_an_id_is_free_at_once(backend: Backend, tmp_path: Path) -> None:
    async def main() -> None:
        for code in (0, 5, 0):
            process = await backend.start(launch(tmp_path, "daemon", "-c", f"echo run {code}; exit {code}"))
            ended = await asyncio.wait_for(backend.wait_gone(2, process), 20)
            assert ended == Exit(code, (f"run {code}",)), "and nothing is left of the run before"

    asyncio.run(main())


def test_what_a_program_leaves_behind_ends_with_it(backend: Backend, tmp_path: Path) -> None:
    async def main() -> None:
        noted = tmp_path / "noted"
        process = await backend.start(launch(tmp_path, "leaver", str(noted)))
        left = [int(await wait_file(tmp_path / f"noted.{number}")) for number in (1, 2, 3)]
        ended = await asyncio.wait_for(backend.wait_gone(2, process), 20)
        assert ended.code == 7
        assert [pid for pid in left if not is_dead(pid)] == []

    asyncio.run(main())


def test_a_kill_reaches_whoever_left_the_session(backend: Backend, tmp_path: Path) -> None:
    async def main() -> None:
        script = f"(setsid sleep 66 & echo $! > {tmp_path}/noted); sleep 67"
        process = await backend.start(launch(tmp_path, "daemon", "-c", script))
        left = int(await wait_file(tmp_path / "noted"))
        await backend.kill(2, process, Signal.KILL)
        assert (await asyncio.wait_for(backend.wait_gone(2, process), 20)).code == -9
        assert is_dead(left)

    asyncio.run(main())


def test_how_one_ended_meanwhile_is_told_when_asked(backend: Backend, tmp_path: Path) -> None:
    """A viscript that comes back asks so; a process group's exit code died with its parent."""

    async def main() -> None:
        process = await backend.start(launch(tmp_path, "daemon", "-c", "echo alone; exit 4"))
        await asyncio.to_thread(wait_until, lambda: not is_running(process))
        backend.close()
        assert await backend.find([record(tmp_path, "daemon", process)]) == []
        ended = await asyncio.wait_for(backend.wait_gone(2, process), 20)
        assert ended == Exit(None if isinstance(backend, GroupBackend) else 4, ("alone",))

    asyncio.run(main())


def test_an_id_that_was_never_collected_can_be_started(backend: Backend, tmp_path: Path) -> None:
    async def main() -> None:
        first = await backend.start(launch(tmp_path, "daemon", "-c", "echo first"))
        await asyncio.to_thread(wait_until, lambda: not is_running(first))
        second = await backend.start(launch(tmp_path, "daemon", "-c", "echo second"))
        assert await asyncio.wait_for(backend.wait_gone(2, second), 20) == Exit(0, ("second",))

    asyncio.run(main())


def test_withdrawing_leaves_nothing(backend: Backend, tmp_path: Path) -> None:
    async def main() -> None:
        process = await backend.start(launch(tmp_path, "shell", "-c", "echo here; sleep 60"))
        await asyncio.wait_for(backend.withdraw(2), 30)
        await asyncio.to_thread(wait_until, lambda: is_dead(process.pid), 5)  # its memory goes a moment before it
        assert await backend.find([]) == []

    asyncio.run(main())
    assert list(tmp_path.glob("*/2.*")) == []
