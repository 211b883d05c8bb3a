"""The doors: programs played on time, lights under a copy of /sys, real processes, a real socket."""

import asyncio
import os
import socket
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skywire_board.errors import BoardError
from skywire_board.model import Pattern, Show
from skywire_board.outputs.lights import Player, find_onboard
from skywire_board.outputs.notify import notify, watchdog_interval_s
from skywire_board.outputs.units import systemctl
from skywire_board.patterns import blink_code, steps_of

ROUNDS = st.lists(st.tuples(st.booleans(), st.integers(1, 5000)), min_size=1, max_size=8).map(tuple)


@pytest.mark.parametrize("blinks", [1, 2, 3, 7])
def test_a_blink_code_can_be_counted(blinks: int) -> None:
    assert sum(on for on, _ in steps_of(Show(Pattern.FAULT, blinks))) == blinks
    assert blink_code(blinks)[-1][1] > 2 * blink_code(blinks)[0][1]


@given(ROUNDS, st.floats(0, 1e6), st.floats(0, 1e5))
def test_a_player_never_stands_still_and_does_not_drift(
    steps: tuple[tuple[bool, int], ...], start_s: float, after_s: float
) -> None:
    player = Player(steps, start_s)
    level, next_s = player.level_at(start_s + after_s)
    assert level in {on for on, _ in steps}
    assert start_s + after_s - 1e-6 < next_s <= start_s + after_s + 5.001
    rounds = (next_s - start_s) * 1000 / sum(ms for _, ms in steps)
    ends = [sum(ms for _, ms in steps[:n]) / sum(ms for _, ms in steps) for n in range(len(steps) + 1)]
    assert min(abs(rounds % 1 - end) for end in ends) < 1e-3


def test_a_player_follows_its_steps() -> None:
    player = Player(((True, 500), (False, 250)), 10.0)
    assert [player.level_at(10.0 + n * 0.25) for n in range(4)] == [
        (True, 10.5),
        (True, 10.5),
        (False, 10.75),
        (True, 11.25),
    ]


def test_the_onboard_light_is_taken_from_its_trigger(tmp_path: Path) -> None:
    for name in ("ACT", "PWR"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "max_brightness").write_text("255\n")
        (tmp_path / name / "trigger").write_text("[heartbeat]")
    light = find_onboard(["led0", "ACT", "PWR"], tmp_path)
    assert light is not None
    light.set(True)
    assert [(tmp_path / "ACT" / name).read_text() for name in ("trigger", "brightness")] == ["none", "255"]
    light.set(False)
    assert (tmp_path / "ACT" / "brightness").read_text() == "0"
    assert (tmp_path / "PWR" / "trigger").read_text() == "[heartbeat]"
    assert find_onboard(["led0"], tmp_path) is None


def program(folder: Path, body: str) -> str:
    path = folder / "systemctl"
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return str(path)


def test_systemctl_gets_its_words(tmp_path: Path) -> None:
    asyncio.run(systemctl(("start", "a b"), program(tmp_path, f'printf "%s|" "$@" > {tmp_path}/said')))
    assert (tmp_path / "said").read_text() == "start|a b|"


def test_systemctl_that_fails_is_told_with_its_last_line(tmp_path: Path) -> None:
    failing = program(tmp_path, "echo one >&2; echo two >&2; exit 5")
    with pytest.raises(BoardError, match="systemctl start x' failed with 5: two"):
        asyncio.run(systemctl(("start", "x"), failing))
    with pytest.raises(BoardError, match=r"cannot run '.*none start x': No such file"):
        asyncio.run(systemctl(("start", "x"), str(tmp_path / "none")))


def test_systemctl_that_hangs_is_ended(tmp_path: Path) -> None:
    begun = time.monotonic()
    with pytest.raises(BoardError, match="took over"):
        asyncio.run(systemctl(("start", "x"), program(tmp_path, "exec sleep 60"), deadline_s=0.2))
    assert time.monotonic() - begun < 30


def test_notify_reaches_the_socket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server:
        server.bind(str(tmp_path / "notify"))
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        notify("READY=1", "STATUS=fine")
        assert server.recv(100) == b"READY=1\nSTATUS=fine"
    notify("nobody listens any more")
    monkeypatch.delenv("NOTIFY_SOCKET")
    notify("nobody asked")


def test_watchdog_is_fed_twice_as_often_as_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WATCHDOG_PID", raising=False)
    monkeypatch.delenv("WATCHDOG_USEC", raising=False)
    assert watchdog_interval_s() is None
    monkeypatch.setenv("WATCHDOG_USEC", "30000000")
    assert watchdog_interval_s() == 15.0
    monkeypatch.setenv("WATCHDOG_PID", str(os.getpid() + 1))
    assert watchdog_interval_s() is None
