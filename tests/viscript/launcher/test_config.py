"""The configuration file: the original's form loads, and every mistake is told with its place."""

from pathlib import Path

import pytest

from viscript.errors import ConfigError
from viscript.launcher.config import load_config, parse_config
from viscript.launcher.model import App

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
            "apps:\n  a:\n    path: p\n    memory_max: lots\n",
            r"c\.yaml:4: .*expected a size in bytes.*'lots'",
        ),
        ("apps:\n  a:\n    path: p\n    restart: always\n", r"c\.yaml:4: unknown key 'restart'"),
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


def test_without_a_file_the_packaged_default_serves(tmp_path: Path) -> None:
    config = load_config(tmp_path / "none.yaml")
    assert list(config.apps) == ["apptracker"]
    assert config.apps["apptracker"].default_args == ("127.0.0.1:20000",)
    assert config.apps["apptracker"].daemon


def test_a_file_that_cannot_be_read_is_not_taken_for_none(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        load_config(tmp_path)
