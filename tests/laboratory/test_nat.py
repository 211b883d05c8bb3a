"""The routers do what their kind of NAT does, seen from sockets on both sides of them."""

from __future__ import annotations

import socket
from dataclasses import dataclass

import pytest

from tests.laboratory.conftest import MakeLab
from tests.laboratory.lab import Lab

PORT = 51820
WAIT_S = 5.0
NOTHING_S = 0.5
Place = tuple[str, int]
TEXT = """
hosts: [meeting, other]
switches: {{net: {{subnet: 203.0.113.0/24, members: [meeting, other]}}}}
sites:
  east: {{boards: 2, nat: {east}, internet: net, subnet: 192.168.1.0/24}}
  west: {{boards: 1, nat: {west}, internet: net, subnet: 192.168.1.0/24}}
"""


@dataclass
class Talker:
    """A UDP socket on a host, on the port that boards use."""

    socket: socket.socket

    def mapped_at(self, server: Talker) -> Place:
        """Where a packet of ours seems to come from."""
        self.socket.sendto(b"hello", server.place)
        data, place = server.socket.recvfrom(100)
        assert data == b"hello"
        return str(place[0]), int(place[1])

    @property
    def place(self) -> Place:
        name = self.socket.getsockname()
        return str(name[0]), int(name[1])

    def hears(self, text: bytes, *, within_s: float = WAIT_S) -> bool:
        self.socket.settimeout(within_s)
        try:
            while self.socket.recv(100) != text:
                pass
        except TimeoutError:
            return False
        return True


def talker(lab: Lab, host: str) -> Talker:
    made = lab.host(host).socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.bind((lab.host(host).node.address(), PORT))
    made.settimeout(WAIT_S)
    return Talker(made)


def make(make_lab: MakeLab, east: str, west: str) -> Lab:
    return make_lab(TEXT.format(east=east, west=west))


def test_a_port_restricted_router_keeps_one_mapping(make_lab: MakeLab) -> None:
    """Also for the second board, whose port the first one already took."""
    lab = make(make_lab, "port-restricted", "symmetric")
    servers = talker(lab, "meeting"), talker(lab, "other")
    places = {}
    for name in ("east-1", "east-2"):
        board = talker(lab, name)
        places[name] = {board.mapped_at(server) for server in servers}
        assert len(places[name]) == 1
    assert places["east-1"] != places["east-2"]


def test_a_symmetric_router_maps_for_each_destination(make_lab: MakeLab) -> None:
    lab = make(make_lab, "port-restricted", "symmetric")
    servers = talker(lab, "meeting"), talker(lab, "other")
    board = talker(lab, "west-1")
    assert len({board.mapped_at(server) for server in servers}) == 2


@pytest.mark.parametrize("kind", ["port-restricted", "symmetric"])
def test_only_who_was_spoken_to_may_answer(make_lab: MakeLab, kind: str) -> None:
    """Host and port must both be those."""
    lab = make(make_lab, kind, "symmetric")
    board, meeting, other = (talker(lab, name) for name in ("east-1", "meeting", "other"))
    place = board.mapped_at(meeting)
    other.socket.sendto(b"unasked", place)
    second = lab.host("meeting").socket(socket.AF_INET, socket.SOCK_DGRAM)
    second.sendto(b"unasked", place)
    assert not board.hears(b"unasked", within_s=NOTHING_S)
    meeting.socket.sendto(b"answer", place)
    assert board.hears(b"answer")


@pytest.mark.parametrize(
    ("east", "west", "meet"),
    [
        ("port-restricted", "port-restricted", True),
        ("port-restricted", "symmetric", False),
        ("symmetric", "symmetric", False),
    ],
)
def test_punching_between_two_sites(make_lab: MakeLab, east: str, west: str, *, meet: bool) -> None:
    """The first packet of each comes too early for the other's router, and must not spoil its mapping."""
    lab = make(make_lab, east, west)
    meeting = talker(lab, "meeting")
    ends = talker(lab, "east-2"), talker(lab, "west-1")
    places = [end.mapped_at(meeting) for end in ends]
    for _ in range(3):
        ends[0].socket.sendto(b"punch", places[1])
        ends[1].socket.sendto(b"punch", places[0])
    heard = [end.hears(b"punch", within_s=WAIT_S if meet else NOTHING_S) for end in ends]
    assert heard == [meet, meet]


def test_without_nat_an_address_is_its_own(make_lab: MakeLab) -> None:
    lab = make(make_lab, "none", "symmetric")
    board, meeting = talker(lab, "east-1"), talker(lab, "meeting")
    assert board.mapped_at(meeting) == board.place
    talker(lab, "other").socket.sendto(b"unasked", board.place)
    assert board.hears(b"unasked")
