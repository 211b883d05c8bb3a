"""Whose a connection is, asked of the running kernel."""

import contextlib
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from viscript.launcher.model import Record
from viscript.launcher.process.cgroup import is_in, make_request, parse_reply, read_socket_cgroup
from viscript.launcher.process.unit import CGROUPS, UnitBackend
from viscript.signal.model import Peer


@contextlib.contextmanager
def connect(host: str) -> Iterator[Peer]:
    """Ourselves, at the other end of a connection."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as server:
        server.bind((host, 0))
        server.listen()
        with socket.create_connection(server.getsockname()[:2]) as client:
            yield Peer(*client.getsockname()[:2], *server.getsockname()[:2])


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_the_kernel_names_the_group_of_a_connections_other_end(host: str) -> None:
    with connect(host) as peer:
        group = read_socket_cgroup(peer)
        assert group is not None
        assert group > 0


def test_a_quick_program_is_known_before_its_pid_is(tmp_path: Path) -> None:
    """The unit's group is our own here, under the name that systemd would give it."""
    lines = Path("/proc/self/cgroup").read_text().splitlines()
    own = next((Path(f"/sys/fs/cgroup/{line[4:]}") for line in lines if line.startswith("0::/")), Path("none"))
    (tmp_path / "skywire-app-quick-2.service").symlink_to(own)
    backend = UnitBackend(tmp_path / "none", cgroups=tmp_path)
    with connect("127.0.0.1") as peer:
        if not own.exists() or read_socket_cgroup(peer) != own.stat().st_ino:
            pytest.skip("the unified control groups are not at /sys/fs/cgroup")
        assert backend.owns(peer, Record(2, "quick", (), ("/quick",), 0.0, process=None))
        assert not backend.owns(peer, Record(3, "quick", (), ("/quick",), 0.0, process=None))


def test_a_connection_that_is_not_there_has_no_group() -> None:
    assert read_socket_cgroup(Peer("127.0.0.1", 1, "127.0.0.1", 2)) is None


def test_we_are_in_no_applications_unit() -> None:
    with connect("127.0.0.1") as peer:
        assert not is_in(peer, CGROUPS / "skywire-app-x-2.service")


def test_a_reply_without_the_attribute_gives_nothing() -> None:
    assert len(make_request(Peer("127.0.0.1", 1, "127.0.0.1", 2))) == 72
    assert parse_reply(bytes.fromhex("58000000140000000100000000000000") + bytes(72)) is None
