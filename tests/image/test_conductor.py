"""The build's order as far as it runs without a build: progress, results that are whole or not there, one at a time."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from image.cache import hold
from image.conductor import NAME, Progress
from image.errors import ImageError, StepError
from image.run import Runner
from image.steps.deliver import Figures, drafts, read_figures, write_figures, write_sums
from tests.house.tree import ROOT

HOLD = """
import sys, time
from pathlib import Path
from image.cache import hold
with hold(Path(sys.argv[1])):
    print("held", flush=True); time.sleep(60)
"""
WAIT = """
import signal, sys
from pathlib import Path
from image.run import Runner
signal.signal(signal.SIGTERM, signal.default_int_handler)
try:
    script = 'trap "echo mended >$0; exit" TERM; sleep 0.5; echo $$ >$1; sleep 60 & wait'
    Runner(Path(sys.argv[1]).open("w"), 0)("sh", "-c", script, *sys.argv[2:])
except KeyboardInterrupt:
    print("stopped")
"""


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def step(tmp_path: Path, said: list[str]) -> Iterator[Progress]:
    with (tmp_path / "build.log").open("w") as log:
        yield Progress(Runner(log, 0), tmp_path / "build.log", said.append)


def test_a_failed_step_names_itself_the_command_its_last_words_and_the_log(step: Progress, said: list[str]) -> None:
    def fail(run: Runner) -> None:
        run("sh", "-c", "echo no room on the card >&2; exit 3")

    with pytest.raises(StepError) as caught:
        step("make the card", fail)
    for words in ("step 'make the card' failed", "'sh -c", "ended with 3", "no room on the card", "build.log'"):
        assert words in str(caught.value)
    assert "".join(said).split() == ["make", "the", "card", "failed"]


def test_a_missing_program_is_named_with_the_way_out(step: Progress) -> None:
    with pytest.raises(StepError, match=r"program 'no-such-program' is missing \(install it; .*image/tools.py"):
        step("make the card", lambda run: run("no-such-program", "--fast"))


def test_a_missing_folder_is_not_taken_for_a_missing_program(step: Progress, tmp_path: Path) -> None:
    with pytest.raises(StepError, match=r"No such file or directory: '.*gone'"):
        step("make the card", lambda run: run("true", cwd=tmp_path / "gone"))


def test_a_full_disk_is_told_as_the_steps_error(step: Progress) -> None:
    def fail(run: Runner) -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(StepError, match=r"step 'pack' failed: .*No space left"):
        step("pack", fail)


def test_a_program_that_takes_too_long_is_ended(step: Progress) -> None:
    with pytest.raises(StepError, match="'sleep' gave no result within 0 s"):
        step("wait", lambda run: run("sleep", "60", timeout_s=0.1))


def test_who_stops_the_build_stops_its_program_gently(tmp_path: Path) -> None:
    mended, began = tmp_path / "mended", tmp_path / "began"
    words = [sys.executable, "-c", WAIT, str(tmp_path / "log"), str(mended), str(began)]
    with subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        while not (began.exists() and began.read_text()):
            assert process.poll() is None
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        assert process.communicate(timeout=30)[0] == "stopped\n"
    assert mended.read_text() == "mended\n"
    assert not Path("/proc", began.read_text().strip()).exists()


def test_a_second_build_in_one_cache_is_told_who_has_it(tmp_path: Path) -> None:
    words = [sys.executable, "-c", HOLD, str(tmp_path)]
    with subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stdout.readline() == b"held\n"
        with pytest.raises(ImageError, match=rf"another build runs .* process {process.pid} "), hold(tmp_path):
            pass
        process.kill()
    with hold(tmp_path):
        assert (tmp_path / "lock").read_text() == f"{os.getpid()}\n"


def test_results_are_replaced_as_a_whole(tmp_path: Path) -> None:
    for name in (f"{NAME}.img", f"{NAME}.img.xz", "build.log"):
        (tmp_path / name).write_text("old")
    with (tmp_path / "log").open("w") as log, drafts(tmp_path, NAME) as folder:
        (folder / f"{NAME}.img").write_text("new")
        assert (tmp_path / f"{NAME}.img").read_text() == "old"
        write_sums(Runner(log, 0), folder)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["SHA256SUMS", "build.log", "log", f"{NAME}.img"]
    assert subprocess.run(["sha256sum", "--check", "--quiet", "SHA256SUMS"], cwd=tmp_path, check=False).returncode == 0


def test_a_build_that_is_stopped_changes_no_result(tmp_path: Path) -> None:
    (tmp_path / f"{NAME}.img").write_text("old")
    with suppress(KeyboardInterrupt), drafts(tmp_path, NAME) as folder:
        (folder / f"{NAME}.img").write_text("half")
        raise KeyboardInterrupt
    assert [path.name for path in tmp_path.iterdir()] == [f"{NAME}.img"]
    assert (tmp_path / f"{NAME}.img").read_text() == "old"


@pytest.mark.parametrize("packed_bytes", [None, 7])
def test_figures_are_read_as_they_were_written(tmp_path: Path, packed_bytes: int | None) -> None:
    figures = Figures(12.5, cold=True, root_bytes=1, image_bytes=2, packed_bytes=packed_bytes)
    write_figures(figures, tmp_path / "figures.json")
    assert read_figures(tmp_path / "figures.json") == figures
    assert '\n  "cold": true' in (tmp_path / "figures.json").read_text()
