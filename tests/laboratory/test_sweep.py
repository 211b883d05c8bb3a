"""What a killed lab leaves is removed: by its warden, or by the next lab. What belongs to others is left alone."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.laboratory.conftest import MakeLab
from tests.laboratory.machine import ip
from tests.laboratory.sweep import (
    NAMESPACES,
    inside,
    is_orphan,
    make_name,
    namespaces,
    start_of,
    sweep,
    sweep_lab,
    wait_end,
)

ROOT = Path(__file__).parents[2]
DEADLINE_S = 60.0
PAIR = "hosts: [a, b]\ncables: [{between: [a, b]}]"
WITH_FAMILY = """
hosts: [a, b]
cables: [{between: [a, b]}]
programs:
  family: {argv: [sh, -c, "setsid sh -c 'sleep 500 & sleep 501' & echo born; sleep 502"], ready: {line: born}}
"""


@contextmanager
def run_command(folder: Path) -> Iterator[tuple[subprocess.Popen[str], dict[str, Any]]]:
    """The lab in a process of its own, and what it says of itself."""
    file = folder / "lab.yaml"
    file.write_text(WITH_FAMILY)
    words = [sys.executable, "-m", "tests.laboratory", str(file), "--json"]
    with subprocess.Popen(words, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as started:
        try:
            assert started.stdout is not None
            yield started, json.loads(started.stdout.readline())
        finally:
            started.kill()


def places(said: dict[str, Any]) -> list[str]:
    return [node["namespace"] for node in said["nodes"]]


@contextmanager
def bystanders() -> Iterator[list[str]]:
    """Namespaces that look much like a lab's."""
    names = ["skylab-mine", f"other-{os.getpid()}-1-1.a", "skylab-1-x-1.a"]
    ip("".join(f"netns add {name}\n" for name in names))
    try:
        yield names
    finally:
        ip("".join(f"netns delete {name}\n" for name in names))


def test_the_next_lab_removes_what_a_killed_one_left(tmp_path: Path, make_lab: MakeLab) -> None:
    neighbour = make_lab(PAIR)
    job = neighbour.host("a").start(["sleep", "600"])
    with bystanders() as others, run_command(tmp_path) as (started, said):
        os.kill(said["warden"], signal.SIGKILL)
        assert wait_end(said["warden"], DEADLINE_S)
        started.kill()
        started.wait(DEADLINE_S)
        left = [pid for pid in inside(places(said)) if start_of(pid)]
        assert len(left) >= 8
        assert set(places(said)) <= set(namespaces())
        assert Path(said["folder"]).is_dir()
        sweep()
        assert not any(start_of(pid) for pid in left)
        assert not set(places(said)) & set(namespaces())
        assert not Path(said["folder"]).exists()
        assert all((NAMESPACES / name).exists() for name in others)
    assert job.is_running
    neighbour.host("b").run(["ping", "-c1", "-W5", "a"])


def test_the_warden_removes_what_a_killed_lab_left(tmp_path: Path, needs_machine: None) -> None:
    with run_command(tmp_path) as (started, said):
        running = list(inside(places(said)))
        started.kill()
        assert wait_end(said["warden"], DEADLINE_S)
        assert not set(places(said)) & set(namespaces())
        assert not any(start_of(pid) for pid in running)
    sweep()
    assert not Path(said["folder"]).exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_lab_that_is_asked_to_end_leaves_nothing(tmp_path: Path, needs_machine: None, number: signal.Signals) -> None:
    with run_command(tmp_path) as (started, said):
        running = list(inside(places(said)))
        started.send_signal(number)
        started.send_signal(number)
        assert started.wait(DEADLINE_S) == (0 if number == signal.SIGINT else 128 + number)
        assert not set(places(said)) & set(namespaces())
        assert not any(start_of(pid) for pid in [*running, said["warden"]])
        assert not Path(said["folder"]).exists()


def test_a_lab_that_cannot_be_brought_up_leaves_nothing(tmp_path: Path, needs_machine: None) -> None:
    file = tmp_path / "lab.yaml"
    file.write_text(WITH_FAMILY.replace("echo born", "echo wrong; exit 9"))
    words = [sys.executable, "-m", "tests.laboratory", str(file), "--json"]
    with subprocess.Popen(words, cwd=ROOT, stderr=subprocess.PIPE, text=True) as started:
        pid, (_, errors) = started.pid, started.communicate(timeout=DEADLINE_S)
    assert started.returncode == 1
    assert "error: on 'a' 'family' ended without a line 'born'; it wrote last:\n  wrong" in errors
    assert not [name for name in namespaces() if name.split("-")[1] == str(pid)]


def test_whose_a_name_is() -> None:
    own = make_name(3)
    assert not is_orphan(own)
    assert not is_orphan(f"{own}.pi-1")
    reborn = f"skylab-{os.getpid()}-1-3.pi-1"
    assert is_orphan(reborn)
    for foreign in ("skylab", "skylab-1-1.a", "skylab-a-b-c.d", f"x{reborn}", f"{reborn}/x", "kern-1-a"):
        assert not is_orphan(foreign)


def test_one_lab_is_not_taken_for_another_whose_number_begins_alike(needs_machine: None) -> None:
    first, second = (f"{make_name(number)}.a" for number in (9_000, 90_000))
    ip(f"netns add {first}\nnetns add {second}\n")
    try:
        sweep_lab(make_name(9_000))
        assert first not in namespaces()
        assert second in namespaces()
    finally:
        sweep_lab(make_name(90_000))
