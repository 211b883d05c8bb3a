"""The user a program runs as, the same for both backends; and what it may do with its files."""

from __future__ import annotations

import asyncio
import os
import pwd
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.viscript.launcher.backends import launch, run_backend
from viscript.errors import StartError
from viscript.launcher.model import Signal
from viscript.launcher.process.account import find_account
from viscript.launcher.process.door import Backend
from viscript.launcher.process.group import settle_account
from viscript.launcher.process.inlet import Inlet
from viscript.launcher.starter.files import Files
from viscript.launcher.starter.held import Held

ROOT_ONLY = pytest.mark.skipif(os.getuid() != 0, reason="needs root to become another user")
TELL = "id -un; id -Gn; echo $HOME; read -r line; echo got $line; read -r never"


@pytest.fixture(params=["group", "unit"])
def backend(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Backend]:
    with run_backend(request.param, tmp_path) as made:
        yield made


@ROOT_ONLY
def test_a_program_runs_as_its_user_and_keeps_its_input_and_output(backend: Backend, tmp_path: Path) -> None:
    async def main() -> None:
        process = await backend.start(launch(tmp_path, "other", "-c", TELL))
        await backend.write_input(2, b"this\n")
        deadline = asyncio.get_running_loop().time() + 20
        while b"got" not in (output := await backend.read_output(2, 0, 1000)).data:
            assert asyncio.get_running_loop().time() < deadline, output
            await asyncio.sleep(0.02)
        assert output.data.split()[:2] == [b"nobody", b"nogroup"]
        assert output.data.endswith(b"got this\n")
        await backend.kill(2, process, Signal.KILL)
        assert (await asyncio.wait_for(backend.wait_gone(2, process), 20)).code == -9

    asyncio.run(main())


@pytest.mark.parametrize(
    ("name", "reason"),
    [("root", "does not run as root"), ("stranger", "'nobody-of-that-name' does not exist")],
)
def test_who_may_not_be_the_user_is_refused(backend: Backend, tmp_path: Path, name: str, reason: str) -> None:
    with pytest.raises(StartError, match=reason):
        asyncio.run(backend.start(launch(tmp_path, name, "-c", "id")))


def test_viscripts_own_user_is_refused() -> None:
    nobody = pwd.getpwnam("nobody")
    assert find_account("nobody").uid == nobody.pw_uid
    with pytest.raises(StartError, match="viscript's own user 'nobody'"):
        find_account("nobody", refused_uid=nobody.pw_uid)


@ROOT_ONLY
def test_only_root_changes_the_user(tmp_path: Path) -> None:
    app, own = launch(tmp_path, "other").app, os.geteuid()
    os.seteuid(pwd.getpwnam("daemon").pw_uid)
    try:
        with pytest.raises(StartError, match="which only root can make happen"):
            settle_account(app)
    finally:
        os.seteuid(own)


@ROOT_ONLY
def test_viscript_may_read_the_output_and_write_the_input_and_others_nothing(tmp_path: Path) -> None:
    """The directory is as tmpfiles makes it on a board: root's, with the group that new files get."""
    directory, group = tmp_path / "out", pwd.getpwnam("daemon").pw_gid
    directory.mkdir()
    os.chown(directory, 0, group)
    directory.chmod(0o2750)
    files = Files(directory, Held({}))
    streams = files.make(4, with_input=True)
    assert streams.input is not None
    modes = {
        path.name: (found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode))
        for path in (streams.output, streams.input)
        if (found := path.stat())
    }
    assert modes == {"4.out": (0, group, 0o640), "4.in": (0, group, 0o620)}
    Inlet(streams.input).write(b"kept, though no program reads yet")
    files.remove(4)
    assert list(directory.iterdir()) == []


def test_a_directory_that_others_can_write_gets_no_files(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    with pytest.raises(StartError, match="others can write"):
        Files(tmp_path, Held({})).make(2, with_input=False)


def test_a_new_starter_holds_the_inputs_of_the_former(tmp_path: Path) -> None:
    fd = Inlet(tmp_path / "4.in").make()
    os.close(fd)
    with pytest.raises(StartError, match="nobody reads it"):
        Inlet(tmp_path / "4.in").write(b"x")
    files = Files(tmp_path, Held({}))
    files.hold_inputs()
    Inlet(tmp_path / "4.in").write(b"x")
    files.remove(4)
