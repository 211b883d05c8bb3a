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
from viscript.launcher.model import Ended, Stopped, Way
from viscript.shell.commands import BY_NAME, TABLE, shutdown
from viscript.shell.parse import split_line
from viscript.shell.render import duration, ending, latency, plain, quantity, tame


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
        (["logs"], 2, "logs takes one id, such as 'logs 2' (see list_apps)\n"),
        (["logs", "2", "-n"], 2, "-n takes how many lines, such as 'logs 2 -n 50'\n"),
        (["logs", "2", "-n", "few"], 2, "-n takes a whole number, got 'few'\n"),
        (["logs", "99"], 1, "No running app has the id 99. Try running 'list_apps'.\n"),
        (["restart", "99"], 1, "No running app has the id 99. Try running 'list_apps'.\n"),
        (["top", "-x"], 2, "top takes no arguments, got '-x'\n"),
        (["log_level", "2", "a", "b"], 2, "log_level takes an id and a level, such as 'log_level 2 debug'\n"),
        (["tell", "2"], 2, "tell takes an id and a command of that app, such as 'tell 2 flush' (see res_usage)\n"),
        (
            ["start", "-x", "deaf"],
            2,
            "start takes an app and its arguments, such as 'start apptracker 127.0.0.1:20000'\n",
        ),
        (["start", "-a", "parrot"], 2, "start -a needs a terminal (leave -a out: what it writes is kept for 'logs')\n"),
        (["attach", "2"], 2, "attach needs a terminal (what an app writes is shown by 'logs 2 -f' anywhere)\n"),
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


SHAPES = {
    "apps": {"apps", "trouble"},
    "help": {"commands"},
    "help start": {"usage", "summary", "example"},
    "help apptracker": {"name", "desc", "help", "default_args", "daemon"},
    "list_apps": {"apps"},
    "ping 2": {"seconds"},
    "res_usage -g 2": {"stats"},
    "logs 2": {"text", "next_offset", "ended"},
    "top": {"rows"},
    "reload": {"added", "changed", "removed"},
    "nodes": {"nodes"},
    "channels": {"channels"},
    "version": {"version"},
    "clear": set(),
    "restart 2": {"id", "app", "command", "pid", "connected"},
    "shutdown 2": {"pid", "way"},
}


def test_every_command_has_json(daemon: Daemon) -> None:
    assert set(json.loads(daemon.say("--json", "start", "apptracker"))) == SHAPES["restart 2"]
    for line, keys in SHAPES.items():
        assert set(json.loads(daemon.say(*line.split(), "--json"))) == keys, line
        assert set(json.loads(daemon.shell("--json", given=line).stdout)) == keys or line == "shutdown 2", line


def test_a_script_may_ask_for_json_line_by_line(daemon: Daemon) -> None:
    lines = daemon.shell(given="version --json\nversion\nstart deaf --json\n").stdout.splitlines()
    assert lines[0] == f'{{"version":"{__version__}"}}'
    assert lines[1] == f"viscript {__version__}"
    assert lines[2].endswith("deaf --json)")


def test_help_shows_how_to_begin(daemon: Daemon) -> None:
    assert daemon.say("help", "s").splitlines() == [
        "start|s [-a] <app> [args]",
        "  Start an app; -a attaches to it",
        "  Example: start apptracker 127.0.0.1:20000",
    ]
    told = daemon.say("help", "update").splitlines()
    assert "  update status --seen    you know of what was rolled back: the light ends" in told
    assert told[-1].startswith("  Example: update http://")
    assert daemon.say("h", "apptracker") == "[1] Address to listen on\nDefault arguments: 127.0.0.1:0\n"
    assert "viscript start apptracker 127.0.0.1:20000" in daemon.say("--help")


def test_a_new_app_appears_after_reload_and_a_broken_file_changes_nothing(daemon: Daemon) -> None:
    file = daemon.directory / "config.yaml"
    file.write_text(file.read_text() + "  fresh: {path: bin/brief}\n")
    assert daemon.say("reload") == "Added  fresh\n"
    assert "fresh " in daemon.say("apps")
    good = file.read_text()
    file.write_text(good + "  bad: {demon: true}\n")
    refused = daemon.shell("reload")
    assert refused.returncode == 1
    assert "config.yaml:" in refused.stderr
    assert "demon" in daemon.say("status")
    assert "fresh " in daemon.say("apps")
    file.write_text(good)
    assert daemon.say("reload") == "Nothing has changed.\n"
    assert "Trouble" not in daemon.say("status")


def test_an_app_is_restarted_under_its_id(daemon: Daemon) -> None:
    daemon.say("start", "apptracker")
    daemon.say("ping", "2")
    before = json.loads(daemon.say("la", "--json"))["apps"][0]["pid"]
    program = daemon.directory / "bin" / "apptracker"
    assert daemon.say("restart", "2") == f"Restarted external app (ID: 2, Command: {program} 127.0.0.1:0)\n"
    assert json.loads(daemon.say("la", "--json"))["apps"][0]["pid"] != before


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
        assert split_line(command.example)[0] in command.names
        assert all(BY_NAME[name] is command for name in command.names)


def test_lines_are_read_as_a_posix_shell_reads_words() -> None:
    assert split_line(r"""start App 'a b' "c \" d" e\ f # rest""") == ["start", "App", "a b", 'c " d', "e f"]
    with pytest.raises(UsageError):
        split_line('"')


def test_an_answer_that_cannot_be_written_is_a_failure_in_one_sentence(daemon: Daemon) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "viscript", "version"],
            env=daemon.environment,
            stdin=subprocess.DEVNULL,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
            check=False,
        )
    assert (done.returncode, done.stderr) == (1, "cannot write the answer: No space left on device\n")


def test_a_comment_begins_where_a_word_could() -> None:
    assert split_line("s web http://a/#top x#y '#z' \\#  # of # the page\n") == [
        *("s", "web", "http://a/#top", "x#y", "#z", "#")
    ]
    assert split_line("  # nothing") == split_line("#") == split_line("#'") == []
    assert split_line('a\\ #b \'c \'#d "e \\" # "#f') == ["a #b", "c #d", 'e " # #f']
    with pytest.raises(UsageError, match="no closing quotation"):
        split_line("start 'unfinished # x")


@pytest.mark.parametrize(
    ("way", "told"),
    [
        (Way.SIGNAL, ()),
        (Way.SIGTERM, ("(ended by SIGTERM: it did not go over signal)",)),
        (Way.CALLED_OFF, ("(it had ended already, and is not started again)",)),
    ],
)
def test_the_way_an_app_ended_is_told_in_true_words(way: Way, told: tuple[str, ...]) -> None:
    assert shutdown.show(Stopped(7, way)).lines == ("shutdown pid 7", *told)


def test_figures_read_well() -> None:
    sizes = (12, 2048, 5 << 20, 3 << 30)
    assert [quantity(size) for size in sizes] == ["12 B", "2.0 KiB", "5.0 MiB", "3.0 GiB"]
    assert [duration(s) for s in (5, 65, 7300, 90_000)] == ["5 s", "1 min 5 s", "2 h 1 min", "1 d 1 h"]
    assert [latency(s) for s in (0.00085, 0.0012, 2.5)] == ["850µs", "1.2ms", "2.5s"]
    assert tame("\x1b[1;31mred\x1b[0m\r\n1 %\r2 %\x1b[2J") == "red\n1 %\n2 %\N{REPLACEMENT CHARACTER}[2J"
    assert [ending(Ended(2, "a", code, 0.0)) for code in (0, 3, -9, -99, None)] == [
        "exit 0",
        "exit 3",
        "signal 9 (SIGKILL)",
        "signal 99",
        "ended, nobody saw how",
    ]
    assert plain("a\x1b[2Jb\x07") == "a\N{REPLACEMENT CHARACTER}[2Jb\N{REPLACEMENT CHARACTER}"
