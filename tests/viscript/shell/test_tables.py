"""Tables: 80 columns, colours only on a terminal and only if wanted; and the one that is drawn anew each second."""

from __future__ import annotations

import json
from pathlib import Path

from tests.viscript.daemon import Daemon
from tests.viscript.shell.terminal import make_environment, on_terminal
from viscript.shell.tables import Grid, lines_of

DRAW = """
from viscript.shell.tables import Grid, lines_of
for line in lines_of(Grid((" ID", "APP"), [("2", "[red]parrot")])):
    print(line)
print("end")
"""


def test_long_cells_give_way_within_80_columns() -> None:
    grid = Grid((" ID", "APP", "STATUS"), [("2", "a" * 60, "b" * 60), ("13", "c", "\x1b[2Jd\ne")])
    title, first, second = lines_of(grid)
    assert title.split() == ["ID", "APP", "STATUS"]
    assert len(first) <= 80
    assert "…" in first
    assert second.startswith("13")
    assert "\x1b" not in second


def test_colours_are_for_terminals_that_want_them(daemon: Daemon, tmp_path: Path) -> None:
    environment = make_environment(daemon, tmp_path / "home")
    with on_terminal(environment, "-c", DRAW) as terminal:
        shown = terminal.wait_for("end")
        assert "\x1b[" in shown
        assert "[red]parrot" in shown
    for argv, last in ((("-c", DRAW), "end"), (("-m", "viscript", "pign"), "Did you mean 'ping'?")):
        with on_terminal(environment | {"NO_COLOR": "1"}, *argv) as terminal:
            assert "\x1b" not in terminal.wait_for(last)
    with on_terminal(environment, "-m", "viscript", "pign") as terminal:
        assert "\x1b[31m" in terminal.wait_for("Did you mean 'ping'?")


def test_top_is_a_table_where_nobody_watches(daemon: Daemon) -> None:
    assert daemon.say("top") == "No apps are running.\n"
    daemon.say("start", "apptracker")
    daemon.say("start", "deaf")
    daemon.say("ping", "2")
    title, *rows = daemon.say("top").splitlines()
    assert title.split() == ["ID", "APP", "CPU", "%", "MEMORY", "THREADS", "RUNNING", "STATUS"]
    assert {tuple(row.split()[:2]) for row in rows} == {("2", "apptracker"), ("3", "deaf")}
    (deaf,) = (row for row in rows if "deaf" in row)
    assert deaf.endswith("not on signal")
    assert all(len(row) <= 80 for row in rows)
    assert {row["app"] for row in json.loads(daemon.say("top", "--json"))["rows"]} == {"apptracker", "deaf"}
    title, *rows = daemon.say("top", "--all").splitlines()
    assert title.startswith("NODE")
    assert len(rows) == 2


def test_top_is_drawn_anew_until_one_leaves(daemon: Daemon, tmp_path: Path) -> None:
    daemon.say("start", "deaf")
    for words, key in ((("top",), "q"), (("top", "--all"), "\x03")):
        with on_terminal(make_environment(daemon, tmp_path / "home"), "-m", "viscript", *words) as terminal:
            assert "\x1b[?1049h" in terminal.wait_for("deaf")
            assert "CPU %" in terminal.wait_for("deaf")
            terminal.type(key)
            terminal.wait_for("\x1b[?1049l")
            assert terminal.wait_end() == 0
