"""Whose a connection is, asked of the running kernel."""

import contextlib
import os
import pwd
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from viscript.launcher.model import Process, Record
from viscript.launcher.process.group import GroupBackend
from viscript.launcher.process.owner import is_of_cgroup, is_of_session, is_of_user, is_process_of_cgroup
from viscript.launcher.process.procfs import read_process
from viscript.launcher.process.sockdiag import SocketOwner, make_request, parse_reply, read_socket
from viscript.launcher.process.unit import CGROUPS, UnitBackend
from viscript.signal.model import Peer

NOBODY_CONNECTS = """
import os, socket, sys
os.setgid({gid}); os.setuid({uid})
client = socket.socket()
client.connect((b"127.0.0.1", {port}))
print(client.getsockname()[1], flush=True)
sys.stdin.read()
"""


@contextlib.contextmanager
def connect(host: str) -> Iterator[Peer]:
    """Ourselves, at the other end of a connection."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as server:
        server.bind((host, 0))
        server.listen()
        with socket.create_connection(server.getsockname()[:2]) as client:
            yield Peer(*client.getsockname()[:2], *server.getsockname()[:2])


@contextlib.contextmanager
def run_sleeper() -> Iterator[Process]:
    """A program with a session of its own, as the launcher starts them."""
    with subprocess.Popen(["sleep", "60"], start_new_session=True) as child:
        process = read_process(child.pid)
        assert process is not None
        try:
            yield process
        finally:
            child.kill()


def record(process: Process | None, app_id: int = 2) -> Record:
    return Record(app_id, "quick", (), ("/quick",), 0.0, process)


def own_cgroup() -> Path:
    lines = Path("/proc/self/cgroup").read_text().splitlines()
    return next((Path(f"/sys/fs/cgroup/{line[4:]}") for line in lines if line.startswith("0::/")), Path("none"))


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_the_kernel_names_user_and_group_of_a_connections_other_end(host: str) -> None:
    with connect(host) as peer:
        found = read_socket(peer)
        assert found is not None
        assert found.uid == os.getuid()
        assert found.group is not None
        assert found.group > 0


def test_a_quick_program_is_known_before_its_pid_is(tmp_path: Path) -> None:
    """The unit's group is our own here, under the name that systemd would give it."""
    own = own_cgroup()
    (tmp_path / "skywire-app-quick-2.service").symlink_to(own)
    backend = UnitBackend(tmp_path / "none", cgroups=tmp_path)
    with connect("127.0.0.1") as peer:
        found = read_socket(peer)
        if not own.exists() or found is None or found.group != own.stat().st_ino:
            pytest.skip("the unified control groups are not at /sys/fs/cgroup")
        assert backend.owns(peer, record(None))
        assert not backend.owns(peer, record(None, app_id=3))


def test_a_process_is_known_by_its_units_group(tmp_path: Path) -> None:
    own = tmp_path / "mount" / own_cgroup().relative_to("/sys/fs/cgroup")
    own.mkdir(parents=True, exist_ok=True)
    (tmp_path / "other").mkdir()
    assert is_process_of_cgroup(os.getpid(), own, tmp_path / "mount")
    assert not is_process_of_cgroup(os.getpid(), tmp_path / "other", tmp_path / "mount")
    assert not is_process_of_cgroup(os.getpid(), tmp_path / "none", tmp_path / "mount")
    assert not is_process_of_cgroup(2**22 + 1, own, tmp_path / "mount"), "a process that is gone"


def test_a_connection_that_is_not_there_has_no_owner() -> None:
    assert read_socket(Peer("127.0.0.1", 1, "127.0.0.1", 2)) is None


def test_we_are_in_no_applications_unit() -> None:
    with connect("127.0.0.1") as peer:
        assert not is_of_cgroup(peer, CGROUPS / "skywire-app-x-2.service")


def test_only_those_in_its_session_speak_for_a_program() -> None:
    with run_sleeper() as process, run_sleeper() as stranger:
        assert is_of_session(process.pid, process)
        assert not is_of_session(stranger.pid, process)
        assert not is_of_session(os.getpid(), process)
        assert not is_of_session(2**22 + 1, process), "a process that is gone"


def test_over_tcp_only_its_user_speaks_for_a_program(tmp_path: Path) -> None:
    backend = GroupBackend(tmp_path)
    with run_sleeper() as process, connect("127.0.0.1") as peer:
        assert backend.owns(peer, record(process))
        assert not backend.owns(peer, record(None)), "nothing is known of who that is"
    assert not backend.owns(peer, record(process)), "it has ended"


@pytest.mark.skipif(os.getuid() != 0, reason="needs root to become another user")
def test_another_user_is_refused_over_tcp() -> None:
    nobody = pwd.getpwnam("nobody")
    with socket.socket() as server, run_sleeper() as process:
        server.bind(("127.0.0.1", 0))
        server.listen()
        port = server.getsockname()[1]
        text = NOBODY_CONNECTS.format(uid=nobody.pw_uid, gid=nobody.pw_gid, port=port)
        pipe = subprocess.PIPE
        with subprocess.Popen([sys.executable, "-c", text], stdin=pipe, stdout=pipe, text=True) as other:
            assert other.stdout is not None
            peer = Peer("127.0.0.1", int(other.stdout.readline()), "127.0.0.1", port)
            assert not is_of_user(peer, process)
            named = read_process(other.pid)
            assert named is not None
            assert is_of_user(peer, named)
            other.communicate("")


def test_a_reply_without_the_attribute_names_the_user_alone() -> None:
    assert len(make_request(Peer("127.0.0.1", 1, "127.0.0.1", 2))) == 72
    body = bytes(64) + (1000).to_bytes(4, sys.byteorder) + bytes(4)
    assert parse_reply(bytes.fromhex("58000000140000000100000000000000") + body) == SocketOwner(1000)


def test_a_reply_cut_short_is_an_error() -> None:
    with pytest.raises(OSError, match="cut short"):
        parse_reply(bytes.fromhex("58000000140000000100000000000000") + bytes(20))
