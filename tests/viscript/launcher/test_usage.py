"""What programs use, as the kernel tells it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from tests.viscript.launcher.backends import wait_until
from viscript.launcher.model import Process
from viscript.launcher.process.procfs import SAMPLE_S, measure, measure_all, read_process

OUTSIDER = """
import asyncio, os, pwd, sys
from viscript.launcher.process.procfs import measure, read_process
usage = read_process(int(sys.argv[1]))
os.setuid(pwd.getpwnam("nobody").pw_uid)
found = asyncio.run(measure(usage))
print(found.rss > 0, found.threads, found.pss, found.open_files, found.read_bytes, found.written_bytes)
"""


@contextlib.contextmanager
def run(*command: str) -> Iterator[Process]:
    with subprocess.Popen(command, start_new_session=True, stdout=subprocess.DEVNULL) as child:
        process = read_process(child.pid)
        assert process is not None
        try:
            yield process
        finally:
            os.killpg(child.pid, 9)


def test_all_figures_of_a_program_of_ours_are_told() -> None:
    script = "exec 5</etc/passwd; head -c 100000 /dev/zero; sleep 60 & wait"
    with run("sh", "-c", script) as process:
        wait_until(lambda: (usage := asyncio.run(measure(process))) and usage.processes == 2)
        usage = asyncio.run(measure(process))
    assert usage is not None
    assert (usage.pid, usage.processes, usage.threads) == (process.pid, 2, 2)
    assert usage.rss > 100_000
    assert usage.pss is not None
    assert 0 < usage.pss <= usage.rss
    assert usage.open_files is not None
    assert usage.open_files >= 7
    assert usage.read_bytes is not None
    assert usage.read_bytes >= 100_000, "the child's, which was waited for, is its parent's"
    assert usage.written_bytes is not None
    assert usage.written_bytes >= 100_000
    assert 0 <= usage.uptime_s < 60


def test_what_burns_shows() -> None:
    with run("sh", "-c", "while :; do :; done") as busy, run("sleep", "60") as idle:
        wait_until(lambda: (usage := asyncio.run(measure(busy))) and usage.cpu_s > 0)
        first, second = asyncio.run(measure_all((busy, idle)))
    assert first is not None
    assert second is not None
    assert first.cpu_percent > 0
    assert second.cpu_percent == 0


def test_many_are_measured_in_one_stretch_and_the_gone_are_none() -> None:
    with contextlib.ExitStack() as stack:
        running = [stack.enter_context(run("sleep", "60")) for _ in range(20)]
        gone = Process(running[3].pid, running[3].start_ticks + 1)
        before, cpu_s = time.monotonic(), time.process_time()
        found = asyncio.run(measure_all([*running, gone]))
        passed_s, cpu_s = time.monotonic() - before, time.process_time() - cpu_s
    assert [usage.pid for usage in found if usage is not None] == [process.pid for process in running]
    assert found[20] is None
    assert passed_s < 10 * SAMPLE_S, "one wait for all of them"
    assert cpu_s < 1


def test_without_programs_there_is_nothing_to_measure() -> None:
    assert asyncio.run(measure_all([])) == []


@pytest.mark.skipif(os.getuid() != 0, reason="needs root to become another user")
def test_what_only_the_owner_may_know_is_none_for_others() -> None:
    with run("sleep", "60") as process:
        done = subprocess.run(
            [sys.executable, "-c", OUTSIDER, str(process.pid)], capture_output=True, text=True, check=False, timeout=60
        )
    assert done.stdout == "True 1 None None None None\n", done.stderr
