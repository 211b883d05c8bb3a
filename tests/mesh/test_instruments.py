"""The instruments themselves, on a network without any mesh: a stream tells its silences, a packet written by hand is a
packet.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator

import pytest

from tests.laboratory.lab import Lab, run_lab
from tests.mesh import places
from tests.mesh.conftest import check_lab
from tests.mesh.packets import mac_of, put, udp6
from tests.mesh.stream import open_stream

PAIR = "hosts: [a, b]\nmesh: stand-in"
RESET = """table inet hangup {
  chain input { type filter hook input priority 0; tcp dport 7000 reject with tcp reset; }
}"""


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    check_lab()
    with run_lab(places.read(PAIR), tmp_path_factory.mktemp("pair") / "lab") as lab:
        yield lab


@pytest.mark.parametrize("download", [True, False])
def test_a_stream_tells_its_longest_silence(pair: Lab, download: bool) -> None:
    with open_stream(pair.host("a"), pair.host("b"), 7000, download=download) as stream:
        stream.wait_bytes(10_000)
        assert stream.gap_since(0) < 0.5
        cable = pair.cable("a", "mesh")
        cable.black_hole(towards="mesh")
        broken = time.monotonic()
        time.sleep(0.6)  # the silence that is to be found
        cable.loss(0)
        assert 0.3 < stream.wait_resumed(broken) < 10  # without acknowledgements, some more is sent
        stream.close()
        assert stream.received == stream.sent > 0


def test_a_stream_at_full_speed(pair: Lab) -> None:
    with open_stream(pair.host("a"), pair.host("b"), 7000, paced=False) as stream:
        stream.wait_bytes(50_000_000)
        stream.close()


def test_a_standstill_is_no_resumption(pair: Lab) -> None:
    with open_stream(pair.host("a"), pair.host("b"), 7000) as stream:
        stream.wait_bytes()
        pair.cable("a", "mesh").black_hole()
        with pytest.raises(AssertionError, match="stands still"):
            stream.wait_resumed(time.monotonic(), 0.3)
        with pytest.raises(AssertionError, match="did not come"):
            stream.wait_bytes(10**9, 0.1)
        pair.cable("a", "mesh").loss(0)


def test_a_broken_stream_is_told(pair: Lab) -> None:
    with open_stream(pair.host("a"), pair.host("b"), 7000) as stream:
        stream.wait_bytes()
        pair.host("a").run(["nft", "-f", "-"], given=RESET)
        with pytest.raises(AssertionError, match="the stream broke"):
            stream.wait_bytes(10**9)
        pair.host("a").run(["nft", "delete table inet hangup"])


def test_a_packet_by_hand_is_heard(pair: Lab) -> None:
    victim = pair.host("b")
    with victim.socket(socket.AF_INET6, socket.SOCK_DGRAM) as ear:
        ear.bind(("::", 7001))
        ear.settimeout(10)
        packet = udp6("fd53::77", victim.node.address("mesh"), 7001, b"odd", 40001)
        put(pair.host("a"), "mesh", packet, to=mac_of(victim, "mesh"))
        data, sender = ear.recvfrom(100)
    assert (data, sender[:2]) == (b"odd", ("fd53::77", 40001))
