"""A start that takes longer than anybody waits leaves no application that nobody knows of."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from tests.viscript.launcher.backends import run_starter, wait_until
from viscript.api import client
from viscript.api import server as api
from viscript.errors import StartError
from viscript.launcher.config import parse_config
from viscript.launcher.lifecycle import Launcher
from viscript.launcher.logs import Logs
from viscript.launcher.process import unit
from viscript.launcher.running import Place
from viscript.launcher.starter import server as starter
from viscript.launcher.starter import systemd
from viscript.launcher.store import Store
from viscript.signal.model import Address
from viscript.signal.server import SignalServer

CONFIG = "apps: {sleeper: {path: sleeper, daemon: true}}"
ADDRESS = Address("127.0.0.1", 7999)
SLOW_S = 1.5


async def start_and_give_up(launcher: Launcher, *, cancelled: bool) -> None:
    if cancelled:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(launcher.start("sleeper", ()), 0.5)
    else:
        with pytest.raises(StartError, match=r"did not answer within 0\.5 s"):
            await launcher.start("sleeper", ())


@pytest.mark.parametrize("cancelled", [False, True])
def test_what_starts_too_late_is_ended_before_it_is_forgotten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cancelled: bool
) -> None:
    monkeypatch.setenv("FAKE_SYSTEMD_SLOW_S", str(SLOW_S))
    monkeypatch.setattr("viscript.launcher.lifecycle.WITHDRAW_INTERVAL_S", 0.1)
    (tmp_path / "sleeper").write_text(f"#!/bin/sh\ntouch {tmp_path}/begun\nexec sleep 60\n")
    (tmp_path / "sleeper").chmod(0o755)

    async def main() -> None:
        with run_starter(tmp_path, CONFIG) as path:
            backend, store = unit.UnitBackend(path, 30 if cancelled else 0.5), Store(tmp_path)
            logs, place = Logs(backend, store.ended), Place(tmp_path, ADDRESS)
            launcher = Launcher(lambda: parse_config(CONFIG, "c"), backend, store, SignalServer(), logs, place)
            launcher.reload()
            await start_and_give_up(launcher, cancelled=cancelled)
            assert [record.id for record in store.records()] == [2], "known until it is surely gone"
            await asyncio.to_thread(wait_until, lambda: not store.records())
            assert (tmp_path / "begun").exists(), "the starter did start it, late"
            assert await backend.find([]) == []
            await launcher.close()

    asyncio.run(main())


def test_a_start_still_in_systemds_queue_is_taken_back(tmp_path: Path) -> None:
    async def main() -> None:
        with run_starter(tmp_path, CONFIG) as path:
            (tmp_path / "units" / "skywire-app-sleeper-2.service").write_text(json.dumps({"pid": 0}))
            await unit.UnitBackend(path).withdraw(2)
            assert list((tmp_path / "units").iterdir()) == []

    asyncio.run(main())


def test_who_waits_waits_longer_than_who_is_waited_for() -> None:
    longest_start_s = starter.LINE_DEADLINE_S + 2 * systemd.ASK_DEADLINE_S + systemd.RUN_DEADLINE_S
    assert longest_start_s < unit.DEADLINE_S < api.CALL_DEADLINE_S < client.CALL_DEADLINE_S
