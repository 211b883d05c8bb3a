"""Adding an application from afar: what may be, and that what is written is what was meant."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.viscript.launcher.backends import make_backend
from viscript.errors import StartError, UsageError
from viscript.launcher.config import load_config, parse_config
from viscript.launcher.deploy import MAX_DEPLOYED, check_deployable, render_entry, write_entry
from viscript.launcher.model import App, Config, Restart

KNOWN = parse_config(
    "apps: {vpn: {path: bin/vpn}, big: {path: bin/big, memory_max: 256M}, other: {path: bin/vpn, user: nobody},"
    " guest: {path: bin/guest, user: nobody}}",
    "known",
)
ENTRY = App("vpn-2", "bin/vpn", default_args=("yes", "1"), restart=Restart.ALWAYS, autostart=True, after=("vpn",))
WORD = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=60)
NAME = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", fullmatch=True)
VARIABLE = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,200}", fullmatch=True).filter(lambda name: name[:7] != "SIGNAL_")
APPS = st.builds(
    App,
    name=NAME.map(lambda name: name[:63] + "0"),
    path=WORD.filter(bool),
    default_args=st.lists(WORD, max_size=4).map(tuple),
    daemon=st.booleans(),
    desc=WORD,
    help=WORD,
    env=st.dictionaries(VARIABLE, WORD, max_size=3),
    cwd=st.none() | WORD.map(lambda text: "/" + text),
    memory_max=st.none() | st.integers(1, 1 << 40),
    cpu_weight=st.none() | st.integers(1, 10_000),
    stop_timeout_s=st.floats(1e-6, 300),
    restart=st.sampled_from(Restart),
    autostart=st.booleans(),
    after=st.lists(st.sampled_from(["vpn", "big"]), max_size=2).map(tuple),
)


@given(APPS)
def test_what_is_written_is_read_back(app: App) -> None:
    read = parse_config(render_entry(app.name, app), "rendered", known=frozenset(KNOWN.apps))
    assert read.apps == {app.name: app}


def test_an_entry_of_a_known_program_may_be_added() -> None:
    check_deployable("vpn-2", ENTRY, KNOWN)
    check_deployable("at", App("at", "bin/apptracker"), Config({}))  # the packaged configuration names it
    check_deployable("big-2", App("big-2", "bin/big", memory_max=256 << 20), KNOWN)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"path": "/bin/sh"}, "path '/bin/sh' is not one that this machine's configuration names"),
        ({"path": "bin/../bin/vpn"}, "is not one that"),
        ({"user": "nobody"}, "'user' cannot be deployed"),
        ({"env": {"LD_PRELOAD": "x"}}, "variable 'LD_PRELOAD'"),
        ({"env": {"PYTHONPATH": "x"}}, "variable 'PYTHONPATH'"),
        ({"env": {"PATH": "x"}}, "variable 'PATH'"),
        ({"env": {"OPENSSL_CONF": "x"}}, "variable 'OPENSSL_CONF'"),
        ({"path": "bin/guest"}, "runs as user 'nobody' here"),
        ({"env": {"A B": "x"}}, "a variable's name"),
        ({"memory_max": 129 << 20}, "memory_max 135266304 is over the 134217728 bytes"),
        ({"cpu_weight": 0}, "1 to 10000"),
        ({"stop_timeout_s": float("nan")}, "seconds from above 0"),
        ({"cwd": "here"}, "an absolute path"),
        ({"after": ("nothing",)}, "'nothing' is not one"),
        ({"default_args": ("x",) * 65}, "65 arguments"),
        ({"default_args": ("x\0",)}, "NUL"),
        ({"help": "x" * 40_000}, "at most 32768 are allowed"),
        ({"name": "vpn-3"}, "'vpn-2' is not an application's name"),
    ],
)
def test_what_would_bring_more_than_settings_is_refused(changes: dict[str, object], reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        check_deployable("vpn-2", msgspec.structs.replace(ENTRY, **changes), KNOWN)


@pytest.mark.parametrize("name", ["", "../vpn", "a/b", ".vpn", "a\n", "x" * 65])
def test_a_name_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="is not an application's name"):
        check_deployable(name, App(name, "bin/vpn"), KNOWN)


def test_an_entry_is_replaced_whole(tmp_path: Path) -> None:
    folder = tmp_path / "apps.d"
    write_entry(folder, "vpn-2", "first")
    write_entry(folder, "vpn-2", "second")
    assert [file.name for file in folder.iterdir()] == ["vpn-2.yaml"]
    assert (folder / "vpn-2.yaml").read_text() == "second"
    assert (folder / "vpn-2.yaml").stat().st_mode & 0o777 == 0o644


def test_a_machine_without_a_configuration_of_its_own_gets_a_folder(tmp_path: Path) -> None:
    write_entry(tmp_path / "viscript" / "apps.d", "at", "first")
    assert (tmp_path / "viscript" / "apps.d" / "at.yaml").read_text() == "first"


def test_this_machines_own_limits_go_before_the_packaged_ones() -> None:
    known = parse_config("apps: {at: {path: bin/apptracker, memory_max: 64M, user: nobody}}", "known")
    with pytest.raises(UsageError, match="runs as user 'nobody' here"):
        check_deployable("at-2", App("at-2", "bin/apptracker"), known)


def test_there_is_an_end_to_deploying(tmp_path: Path) -> None:
    for number in range(MAX_DEPLOYED):
        (tmp_path / f"{number}.yaml").touch()
    write_entry(tmp_path, "7", "replaced")
    with pytest.raises(StartError, match="100 applications are deployed"):
        write_entry(tmp_path, "new", "one too many")


@pytest.mark.parametrize("kind", ["group", "unit"])
def test_both_backends_add_to_the_configuration_beside_theirs(kind: str, tmp_path: Path) -> None:
    entry = App("second", "bin/x", default_args=("a b",), autostart=True)

    async def main() -> None:
        with make_backend(kind, tmp_path, "apps: {first: {path: bin/x}}") as backend:
            await backend.deploy("second", entry)
            with pytest.raises(UsageError, match="path 'bin/y' is not one"):
                await backend.deploy("third", App("third", "bin/y"))

    asyncio.run(main())
    assert load_config(tmp_path / "config.yaml").apps == {"first": App("first", "bin/x"), "second": entry}
