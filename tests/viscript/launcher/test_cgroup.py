"""Whose a connection is, asked of the running kernel."""

import socket

import pytest

from viscript.launcher.process.cgroup import is_in_unit, make_request, parse_reply, read_socket_cgroup
from viscript.signal.model import Peer


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_the_kernel_names_the_group_of_a_connections_other_end(host: str) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as server:
        server.bind((host, 0))
        server.listen()
        with socket.create_connection(server.getsockname()[:2]) as client:
            peer = Peer(*client.getsockname()[:2], *server.getsockname()[:2])
            group = read_socket_cgroup(peer)
            assert group is not None
            assert group > 0


def test_a_connection_that_is_not_there_has_no_group() -> None:
    assert read_socket_cgroup(Peer("127.0.0.1", 1, "127.0.0.1", 2)) is None


def test_we_are_in_no_applications_unit() -> None:
    assert not is_in_unit(Peer("127.0.0.1", 1, "127.0.0.1", 2), 1, "skywire-app-x-2.service")


def test_a_reply_without_the_attribute_gives_nothing() -> None:
    assert len(make_request(Peer("127.0.0.1", 1, "127.0.0.1", 2))) == 72
    assert parse_reply(bytes.fromhex("58000000140000000100000000000000") + bytes(72)) is None
