"""The configuration file: the original's form loads, and every mistake is told with its place."""

from pathlib import Path

import pytest

from viscript.errors import ConfigError
from viscript.launcher.config import load_config, order, parse_config
from viscript.launcher.model import App, Restart

ORIGINAL = """
apps:
  meshnet-socks-server:
    daemon: true
    desc: DESCRIPTION GOES HERE
    path: bin/meshnet/meshnet-run-socks-server
    default_args: []
    help: |
        [1] Text name of app, must be unique
        [2] More
settings:
  runHeadless: true
"""


def test_the_originals_entry_loads() -> None:
    config = parse_config(ORIGINAL, "config.yaml")
    assert config.apps["meshnet-socks-server"] == App(
        name="meshnet-socks-server",
        path="bin/meshnet/meshnet-run-socks-server",
        daemon=True,
        desc="DESCRIPTION GOES HERE",
        help="[1] Text name of app, must be unique\n[2] More\n",
    )
    assert config.run_headless


def test_the_boards_configuration_says_what_the_built_in_one_says() -> None:
    root = Path(__file__).parents[3]
    board = root / "rootfs_overlay" / "etc" / "skywire" / "config.yaml"
    built_in = root / "viscript" / "default_config.yaml"
    assert parse_config(board.read_text(), "c") == parse_config(built_in.read_text(), "c")


def test_arguments_stay_as_they_are_written() -> None:
    config = parse_config("apps: {a: {path: p, default_args: [20000, yes, 0x10, ~]}}", "c")
    assert config.apps["a"].default_args == ("20000", "yes", "0x10", "~")


def test_optional_keys_have_units() -> None:
    text = "apps: {a: {path: /p, memory_max: 64M, cpu_weight: 50, stop_timeout_s: 2.5, cwd: /tmp, env: {A: 1}}}"
    app = parse_config(text, "c").apps["a"]
    assert (app.memory_max, app.cpu_weight, app.stop_timeout_s) == (64 << 20, 50, 2.5)
    assert (app.cwd, app.env) == ("/tmp", {"A": "1"})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "apps:\n  a:\n    path: p\n    demon: true\n",
            r"c\.yaml:4: unknown key 'demon' in apps\.a; known: .*daemon",
        ),
        (
            "apps:\n  a:\n    path: p\n    daemon: 1\n",
            r"c\.yaml:4: key 'apps\.a\.daemon': expected true or false, found '1'",
        ),
        ("apps:\n  a:\n    path: [p]\n", r"c\.yaml:3: key 'apps\.a\.path': expected text"),
        ("apps:\n  a:\n    desc: x\n", r"c\.yaml:3: key 'apps\.a\.path': expected the program's path"),
        ("apps:\n  a:\n    path: p\n    path: q\n", r"c\.yaml:4: key 'path' is given twice"),
        ("apps:\n  a:\n    path: p\n    default_args: x\n", r"c\.yaml:4: .*expected a list"),
        (
            "apps:\n  a:\n    path: p\n    memory_max: 9999999999999999G\n",
            r"c\.yaml:4: .*expected a size in bytes.*'9999999999999999G'",
        ),
        (
            "apps:\n  a:\n    path: p\n    memory_max: lots\n",
            r"c\.yaml:4: .*expected a size in bytes.*'lots'",
        ),
        (
            "apps:\n  a:\n    path: p\n    restart: sometimes\n",
            r"c\.yaml:4: key 'apps\.a\.restart': expected never, on-failure or always, found 'sometimes'",
        ),
        ("apps:\n  a:\n    path: p\n    user: ../x\n", r"c\.yaml:4: .*expected a user's name, found '\.\./x'"),
        ("apps:\n  a:\n    path: p\n    after: [b]\n", r"c\.yaml:4: .*names of other apps; 'b' is not one"),
        ("apps:\n  a:\n    path: p\n    after: [a]\n", r"c\.yaml:4: .*'a' is not one"),
        (
            "apps:\n  a: {path: p, after: [b]}\n  b: {path: p, after: [a]}\n",
            r"c\.yaml: key 'after' goes in a circle: '.' after '.' after '.'",
        ),
        (
            "apps:\n  a:\n    path: p\n    env: {SIGNAL_CLIENT_ID: 9}\n",
            r"c\.yaml:4: .*does not begin with SIGNAL_",
        ),
        ("apps:\n  a b:\n    path: p\n", r"c\.yaml:3: .*a name of letters"),
        ("apps: [a]\n", r"c\.yaml:1: key 'apps': expected a mapping"),
        ("settings: {}\n", r"c\.yaml:1: key 'apps' is missing"),
        ("apps:\n\t- x\n", r"c\.yaml:2: "),
        ("", r"c\.yaml:1: the file is empty"),
    ],
)
def test_a_mistake_is_told_with_its_place(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_config(text, "c.yaml")


def test_how_an_app_runs_is_configured() -> None:
    text = "apps: {a: {path: p, restart: on-failure, autostart: yes, after: [b], user: nobody}, b: {path: p}}"
    app = parse_config(text, "c").apps["a"]
    assert (app.restart, app.autostart, app.after, app.user) == (Restart.ON_FAILURE, True, ("b",), "nobody")
    plain = parse_config(text, "c").apps["b"]
    assert (plain.restart, plain.autostart, plain.after, plain.user) == (Restart.NEVER, False, (), None)


def test_the_start_order_puts_each_behind_those_it_names() -> None:
    text = "apps: {c: {path: p, after: [a, b]}, b: {path: p, after: [a]}, a: {path: p}}"
    assert order(parse_config(text, "c").apps) == ("a", "b", "c")


def test_deployed_entries_lie_over_the_file(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("apps: {a: {path: old}, b: {path: b}}")
    (tmp_path / "apps.d").mkdir()
    (tmp_path / "apps.d" / "a.yaml").write_text("apps: {a: {path: new, after: [b]}}")
    (tmp_path / "apps.d" / "c.yaml").write_text("apps: {c: {path: c}}")
    apps = load_config(tmp_path / "config.yaml").apps
    assert {name: app.path for name, app in apps.items()} == {"a": "new", "b": "b", "c": "c"}
    (tmp_path / "apps.d" / "c.yaml").write_text("apps: {c: 1}")
    with pytest.raises(ConfigError, match=r"apps\.d/c\.yaml:1: key 'apps\.c': expected a mapping"):
        load_config(tmp_path / "config.yaml")


def test_without_a_file_the_packaged_default_serves(tmp_path: Path) -> None:
    config = load_config(tmp_path / "none.yaml")
    assert list(config.apps) == ["apptracker"]
    assert config.apps["apptracker"].default_args == ("127.0.0.1:20000",)
    assert config.apps["apptracker"].daemon


def test_a_file_that_cannot_be_read_is_not_taken_for_none(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        load_config(tmp_path)
