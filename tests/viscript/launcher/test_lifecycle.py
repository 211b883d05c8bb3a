"""Applications over several runs: crashes, restarts, start order, what they wrote, and what is remembered of them.

Every test runs real programs on both backends.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import msgspec
import pytest

from tests.viscript.launcher.backends import make_backend
from viscript.errors import ConfigError, NoSuchIdError, UsageError
from viscript.launcher import restarts
from viscript.launcher.boot import autostart
from viscript.launcher.config import load_config
from viscript.launcher.lifecycle import Launcher
from viscript.launcher.logs import Logs
from viscript.launcher.model import App, Way
from viscript.launcher.process.door import Backend
from viscript.launcher.questions import Questions
from viscript.launcher.running import Place
from viscript.launcher.store import Store
from viscript.signal.errors import NotConnectedError
from viscript.signal.model import Address
from viscript.signal.server import SignalServer

CONFIG = """
apps:
  steady: {path: run, daemon: true, restart: always, default_args: [sleep, "60"], stop_timeout_s: 0.3}
  careful: {path: run, daemon: true, restart: on-failure, default_args: [exit, "0"]}
  hasty: {path: run, daemon: true, restart: always, default_args: [exit, "3"]}
  talker: {path: run, daemon: true, default_args: [talk]}
  reader: {path: run, default_args: [read]}
  late: {path: run, daemon: true, autostart: true, after: [early], default_args: [sleep, "60"], stop_timeout_s: 0.3}
  early: {path: run, daemon: true, autostart: true, default_args: [sleep, "60"], stop_timeout_s: 0.3}
"""
RUN = """#!/bin/sh
case $1 in
  sleep) exec sleep "$2" ;;
  exit) echo "giving up with $2"; exit "$2" ;;
  talk) i=0; while [ $i -lt 50 ]; do i=$((i+1)); echo "line $i \xc3\xa9"; done; echo oops >&2; exit 4 ;;
  read) while read -r line; do echo "got $line"; done ;;
esac
"""
DEADLINE_S = 30.0


class Desk:
    """A launcher with all it works with."""

    def __init__(self, directory: Path, backend: Backend) -> None:
        self.config = directory / "config.yaml"
        self.store = Store(directory)
        self.signals = SignalServer()
        self.logs = Logs(backend, self.store.ended)
        place = Place(directory, Address("127.0.0.1", 7999))
        self.launcher = Launcher(lambda: load_config(self.config), backend, self.store, self.signals, self.logs, place)
        self.launcher.reload()

    async def end(self) -> None:
        for record in self.store.records():
            with contextlib.suppress(NoSuchIdError):
                await self.launcher.shutdown(record.id)
        await self.launcher.close()


@contextlib.asynccontextmanager
async def open_desk(directory: Path, backend: Backend) -> AsyncIterator[Desk]:
    desk = Desk(directory, backend)
    try:
        yield desk
    finally:
        await desk.end()


async def until(is_so: Callable[[], object]) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while not is_so():  # noqa: ASYNC110 (what is looked at is outside of this program)
            await asyncio.sleep(0.02)


def pid_of(desk: Desk, app_id: int) -> int:
    found = [record for record in desk.launcher.running() if record.id == app_id]
    return found[0].process.pid if found and found[0].process else 0


@pytest.fixture(params=["group", "unit"])
def play(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[Callable[[Desk], Awaitable[None]]], None]:
    """Runs a scene at a desk on one of the backends."""
    (tmp_path / "run").write_bytes(RUN.encode("latin-1"))
    (tmp_path / "run").chmod(0o755)

    async def main(backend: Backend, scene: Callable[[Desk], Awaitable[None]]) -> None:
        async with open_desk(tmp_path, backend) as desk:
            await scene(desk)

    def run(scene: Callable[[Desk], Awaitable[None]]) -> None:
        with make_backend(request.param, tmp_path, CONFIG) as backend:
            asyncio.run(main(backend, scene))

    return run


Play = Callable[[Callable[[Desk], Awaitable[None]]], None]


def test_a_crash_is_followed_by_a_new_process_under_the_same_id(play: Play) -> None:
    async def scene(desk: Desk) -> None:
        first = await desk.launcher.start("steady", ())
        assert first.process is not None
        os.kill(first.process.pid, signal.SIGKILL)
        await until(lambda: pid_of(desk, first.id) not in {0, first.process and first.process.pid})
        (again,) = desk.launcher.running()
        assert (again.id, again.args, again.failures) == (first.id, first.args, 1)
        assert desk.launcher.ended() == (), "it runs: how its last run ended is not news"
        assert desk.store.ended()[0].code == -signal.SIGKILL

    play(scene)


def test_success_is_left_alone_under_on_failure(play: Play) -> None:
    async def scene(desk: Desk) -> None:
        record = await desk.launcher.start("careful", ("exit", "0"))
        await until(lambda: not desk.launcher.running())
        assert [(ended.id, ended.code) for ended in desk.launcher.ended()] == [(record.id, 0)]
        assert desk.store.records() == ()

    play(scene)


def test_what_fails_again_and_again_is_given_up(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(restarts, "FIRST_PAUSE_S", 0.01)
    monkeypatch.setattr(restarts, "GIVE_UP_AFTER", 3)

    async def scene(desk: Desk) -> None:
        record = await desk.launcher.start("hasty", ())
        await until(lambda: any(ended.given_up for ended in desk.store.ended()))
        (ended,) = desk.launcher.ended()
        assert (ended.id, ended.code, ended.last_lines) == (record.id, 3, ("giving up with 3",))
        assert desk.store.records() == ()

    play(scene)


def test_a_restart_that_is_to_come_can_be_called_off(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(restarts, "FIRST_PAUSE_S", 60.0)
    monkeypatch.setattr(restarts, "LONGEST_PAUSE_S", 60.0)

    async def scene(desk: Desk) -> None:
        record = await desk.launcher.start("hasty", ())
        await until(desk.launcher.waiting)
        assert (await desk.launcher.shutdown(record.id)).way is Way.CALLED_OFF
        assert desk.store.records() == ()

    play(scene)


def test_what_is_deployed_anew_does_not_come_back_in_its_old_form(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(restarts, "FIRST_PAUSE_S", 60.0)
    monkeypatch.setattr(restarts, "LONGEST_PAUSE_S", 60.0)

    async def scene(desk: Desk) -> None:
        await desk.launcher.start("hasty", ())
        await until(desk.launcher.waiting)
        entry = App("hasty", "run", daemon=True, default_args=("sleep", "60"), stop_timeout_s=0.3)
        record = await desk.launcher.deploy("hasty", entry)
        assert desk.launcher.waiting() == ()
        assert [other.id for other in desk.store.records()] == [record.id]

    play(scene)


def test_restart_keeps_id_and_arguments(play: Play) -> None:
    async def scene(desk: Desk) -> None:
        first = await desk.launcher.start("steady", ("sleep", "61"))
        second = await desk.launcher.restart(first.id)
        assert (second.id, second.args) == (first.id, ("sleep", "61"))
        assert second.process != first.process
        assert [record.id for record in desk.launcher.running()] == [first.id]
        with pytest.raises(NoSuchIdError):
            await desk.launcher.restart(99)

    play(scene)


def test_what_crashed_while_viscript_was_away_is_started_again(play: Play, tmp_path: Path) -> None:
    async def scene(desk: Desk) -> None:
        first = await desk.launcher.start("steady", ())
        kept = await desk.launcher.start("steady", ())
        assert first.process is not None
        watchers = desk.launcher
        successor = Desk.__new__(Desk)
        successor.__dict__ |= desk.__dict__
        await watchers.close()
        os.kill(first.process.pid, signal.SIGKILL)
        successor.store = Store(tmp_path)
        backend = watchers._backend
        successor.logs = Logs(backend, successor.store.ended)
        place = Place(tmp_path, Address("127.0.0.1", 7999))
        desk.launcher = successor.launcher = Launcher(
            lambda: load_config(desk.config), backend, successor.store, desk.signals, successor.logs, place
        )
        desk.store = successor.store
        successor.launcher.reload()
        await successor.launcher.recover()
        await until(lambda: pid_of(successor, first.id) not in {0, first.process and first.process.pid})
        assert pid_of(successor, kept.id) == (kept.process.pid if kept.process else None)

    play(scene)


def test_autostart_follows_the_order(play: Play) -> None:
    async def scene(desk: Desk) -> None:
        desk.signals.wait_connected = _at_once  # type: ignore[assignment,method-assign] # sleep is no signal client
        await autostart(desk.launcher, desk.signals)
        assert [record.app for record in desk.launcher.running()] == ["early", "late"]
        await autostart(desk.launcher, desk.signals)
        assert len(desk.launcher.running()) == 2, "what runs is not started twice"

    play(scene)


async def _at_once(_app_id: int, _timeout_s: float) -> None:
    return


def test_output_is_read_by_offset_and_outlives_the_program(play: Play) -> None:
    async def scene(desk: Desk) -> None:
        record = await desk.launcher.start("talker", ())
        await until(lambda: not desk.launcher.running())
        whole = await desk.logs.read(record.id, 0, 0, 0)
        assert whole.text.splitlines()[:2] == ["line 1 é", "line 2 é"]
        assert whole.text.splitlines()[-1] == "oops"
        assert whole.ended is not None
        assert whole.ended.code == 4
        last = await desk.logs.read(record.id, None, 2, 0)
        assert last.text == "line 50 é\noops\n"
        assert last.next_offset == whole.next_offset
        with pytest.raises(NoSuchIdError):
            await desk.logs.read(99, None, 2, 0)

    play(scene)


def test_a_reader_who_waits_is_told_at_once(play: Play) -> None:
    async def scene(desk: Desk) -> None:
        record = await desk.launcher.start("reader", ())
        waiting = asyncio.ensure_future(desk.logs.read(record.id, 0, 0, 20))
        await desk.launcher.type_into(record.id, "hello\n")
        part = await asyncio.wait_for(waiting, DEADLINE_S)
        assert part.text == "got hello\n"
        over = asyncio.ensure_future(desk.logs.read(record.id, part.next_offset, 0, 20))
        await desk.launcher.shutdown(record.id)
        assert (await asyncio.wait_for(over, DEADLINE_S)).ended is not None

    play(scene)


def test_a_daemon_takes_no_input(play: Play) -> None:
    async def scene(desk: Desk) -> None:
        record = await desk.launcher.start("steady", ())
        with pytest.raises(UsageError, match="'steady' is a daemon and takes no input"):
            await desk.launcher.type_into(record.id, "x")

    play(scene)


def test_a_broken_file_leaves_the_former_configuration_in_force(play: Play) -> None:
    async def scene(desk: Desk) -> None:
        good = desk.config.read_text()
        desk.config.write_text(good + "  new: {path: 1}\n")
        with pytest.raises(ConfigError, match=r"config\.yaml:\d+: key 'apps\.new\.path'"):
            desk.launcher.reload()
        assert "new" not in desk.launcher.config.apps
        assert "apps.new.path" in desk.launcher.trouble
        desk.config.write_text(good.replace("talker", "speaker").replace('"61"', '"62"') + "  new: {path: run}\n")
        changes = desk.launcher.reload()
        assert (changes.added, changes.removed) == (("new", "speaker"), ("talker",))
        assert desk.launcher.trouble == ""

    play(scene)


def test_who_has_long_been_up_without_registering_is_not_waited_for(play: Play) -> None:
    async def scene(desk: Desk) -> None:
        record = await desk.launcher.start("steady", ())
        running = desk.launcher.find(record.id)
        running.record = msgspec.structs.replace(record, started_unix=record.started_unix - 60)
        begin = asyncio.get_running_loop().time()
        with pytest.raises(NotConnectedError, match="has not registered"):
            await Questions(desk.launcher, desk.signals).ping(record.id, 20)
        assert asyncio.get_running_loop().time() - begin < 10

    play(scene)
