"""The shell as a program: what it prints, where, and with which exit code."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.viscript.daemon import ROOT, Daemon
from viscript import __version__
from viscript.errors import UsageError
from viscript.shell.commands import BY_NAME, TABLE
from viscript.shell.parse import split_line
from viscript.shell.render import duration, latency, plain, quantity


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (["nonsense"], 2, '"nonsense" is an unknown command.\n'),
        (["pign", "2"], 2, "\"pign\" is an unknown command.\nDid you mean 'ping'?\n"),
        (["start", "x"], 1, "App with name 'x' doesn't exist. Try running 'apps'.\n"),
        (["help", "x"], 1, "App with name 'x' doesn't exist. Try running 'apps'.\n"),
        (["ping"], 2, "ping takes one id, such as 'ping 2' (see list_apps)\n"),
        (["ping", "two"], 2, "'two' is not an id; expected a whole number (see list_apps)\n"),
        (["sd", "99"], 1, "No running app has the id 99. Try running 'list_apps'.\n"),
        (["la", "-x"], 2, "list_apps takes only -f, got '-x'\n"),
        (["start", "apptracker", *["x"] * 65], 2, "65 arguments given, at most 64 are allowed\n"),
    ],
)
def test_mistakes_are_told_on_stderr_with_a_code(daemon: Daemon, words: list[str], code: int, text: str) -> None:
    done = daemon.shell(*words)
    assert (done.returncode, done.stdout, done.stderr) == (code, "", text)


def test_a_script_runs_line_by_line(daemon: Daemon) -> None:
    done = daemon.shell(given="# a comment\n\nversion\nstart 'unfinished\nversion\nexit\nversion\n")
    assert done.stdout == f"viscript {__version__}\n" * 2
    assert done.stderr == "cannot read the line: no closing quotation\n"
    assert done.returncode == 2


def test_programs_get_json(daemon: Daemon) -> None:
    assert json.loads(daemon.say("--json", "apps"))["apps"][0]["name"] == "apptracker"
    assert json.loads(daemon.say("status", "--json"))["version"] == __version__
    failed = daemon.shell("--json", "ping", "9")
    assert json.loads(failed.stdout)["error"]["code"] == "no-such-id"
    assert failed.returncode == 1


def test_arguments_reach_the_program_as_they_were_given(daemon: Daemon) -> None:
    done = daemon.shell(given="start deaf 'Two Words' $HOME -X --json\nla -f\n")
    path = daemon.directory / "bin" / "deaf"
    assert done.stdout.splitlines()[0] == f"Added external app (ID: 2, Command: {path} Two Words $HOME -X --json)"


def test_a_shell_without_its_daemon_says_what_to_do(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "viscript", "apps"],
        env={**os.environ, "PYTHONPATH": str(ROOT), "VISCRIPT_SOCKET": str(tmp_path / "none")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert f"nothing listens at '{tmp_path}/none'" in done.stderr
    assert "viscript headless" in done.stderr


def test_a_one_shot_command_loads_little() -> None:
    program = (
        "import sys, viscript.shell.run, viscript.__main__\n"
        "heavy = {'asyncio', 'prompt_toolkit', 'rich', 'psutil', 'yaml', 'subprocess'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_command_is_explained_within_80_columns() -> None:
    width = max(len(command.usage) for command in TABLE)
    for command in TABLE:
        assert width + 2 + len(command.summary) <= 80
        assert command.usage.startswith("|".join(command.names))
        assert all(BY_NAME[name] is command for name in command.names)


def test_lines_are_read_as_a_posix_shell_reads_words() -> None:
    assert split_line(r"""start App 'a b' "c \" d" e\ f # rest""") == ["start", "App", "a b", 'c " d', "e f"]
    with pytest.raises(UsageError):
        split_line('"')


def test_figures_read_well() -> None:
    sizes = (12, 2048, 5 << 20, 3 << 30)
    assert [quantity(size) for size in sizes] == ["12 B", "2.0 KiB", "5.0 MiB", "3.0 GiB"]
    assert [duration(s) for s in (5, 65, 7300, 90_000)] == ["5 s", "1 min 5 s", "2 h 1 min", "1 d 1 h"]
    assert [latency(s) for s in (0.00085, 0.0012, 2.5)] == ["850µs", "1.2ms", "2.5s"]
    assert plain("a\x1b[2Jb\x07") == "a\N{REPLACEMENT CHARACTER}[2Jb\N{REPLACEMENT CHARACTER}"
