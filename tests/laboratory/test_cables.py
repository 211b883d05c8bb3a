"""Cables are as bad as they are told to be, in that direction only, and while the lab runs."""

from __future__ import annotations

import math
import socket
import time
from threading import Thread

import pytest

from tests.laboratory import machine
from tests.laboratory.conftest import MakeLab
from tests.laboratory.errors import LabError, MissingError
from tests.laboratory.lab import Lab

PAIR = "hosts: [a, b]\ncables: [{between: [a, b]}]"
PORT = 4000
WAIT_S = 10.0
NOTHING_S = 0.3
STRAY = 40
"""Packets of the kernel's own, such as neighbour discovery, that may be among those counted."""


def udp(lab: Lab, host: str) -> socket.socket:
    made = lab.host(host).socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.bind((lab.host(host).node.address(), PORT))
    made.settimeout(WAIT_S)
    return made


def send(lab: Lab, left: str, right: str, count: int = 1, size: int = 100) -> None:
    with lab.host(left).socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
        for _ in range(count):
            out.sendto(b"x" * size, (lab.host(right).node.address(), PORT))


def arrives(lab: Lab, left: str, right: str, within_s: float = WAIT_S) -> bool:
    with udp(lab, right) as ear:
        ear.settimeout(within_s)
        send(lab, left, right)
        try:
            return bool(ear.recv(1000))
        except TimeoutError:
            return False


@pytest.mark.parametrize(("worse", "other"), [("a", "b"), ("b", "a")])
def test_one_way_loss(make_lab: MakeLab, worse: str, other: str) -> None:
    count, share = 20_000, 0.2
    lab = make_lab(PAIR)
    cable = lab.cable("a", "b")
    cable.loss(share, towards=worse)
    cable.loss(0.5, towards=other)
    cable.loss(0, towards=other)
    before = cable.counters(other)
    send(lab, other, worse, count)
    send(lab, worse, other, 500)
    seen = cable.counters(worse)
    tolerance = 5 * math.sqrt(count * share * (1 - share)) + STRAY
    assert abs(seen.lost - count * share) < tolerance
    assert count <= seen.lost + seen.passed <= count + STRAY
    back = cable.counters(other)
    assert back.lost == before.lost
    assert back.passed - before.passed >= 500


def test_loss_changes_while_it_runs_and_counters_go_on(make_lab: MakeLab) -> None:
    lab = make_lab(PAIR.replace("[a, b]}", "[a, b], back: {loss: 100%}}"))
    cable = lab.cable("b", "a")
    assert cable.quality("a").loss == 1
    assert not arrives(lab, "b", "a", NOTHING_S)
    cable.loss(0)
    lost = cable.counters("a").lost
    assert lost >= 1
    assert arrives(lab, "b", "a")
    assert cable.counters("a").lost == lost


def test_what_is_lost_is_a_packet_of_the_wire(make_lab: MakeLab) -> None:
    """Without care a stream's packets would pass in lumps of 64 KiB, and a loss would take them all."""
    lab = make_lab(PAIR)
    cable = lab.cable("a", "b")
    cable.loss(0.001, towards="b")
    stream(lab, 2_000_000)
    seen = cable.counters("b")
    assert seen.passed > 2_000_000 / 1514
    assert seen.passed_bytes / seen.passed < 1515


def test_rate(make_lab: MakeLab) -> None:
    """Never above; a busy machine may keep the sender below it now and then."""
    lab = make_lab("hosts: [a, b]\ncables: [{between: [a, b], rate: 20mbit}]")
    size = 2_500_000
    shares = [size * 8 / stream(lab, size) / 20e6 for _ in range(3)]
    assert max(shares) < 1.02
    assert max(shares) > 0.85
    lab.cable("a", "b").rate(0)
    assert size * 8 / stream(lab, size) > 100e6


def stream(lab: Lab, size: int) -> float:
    """Seconds from the first byte to the last of a TCP stream from a to b."""
    with lab.host("b").socket(socket.AF_INET, socket.SOCK_STREAM) as door:
        door.bind((lab.host("b").node.address(), 0))
        door.listen()
        with lab.host("a").socket(socket.AF_INET, socket.SOCK_STREAM) as out:
            out.connect(door.getsockname())
            sender = Thread(target=out.sendall, args=(b"x" * size,))
            inlet, _ = door.accept()
            with inlet:
                inlet.settimeout(60)
                sender.start()
                begin, left = time.monotonic(), size
                while left > 0:
                    left -= len(inlet.recv(1 << 20))
                seconds = time.monotonic() - begin
            sender.join(60)
    return seconds


@pytest.mark.parametrize(("deaf", "hearing"), [("a", "b"), ("b", "a")])
def test_a_black_hole_swallows_one_way(make_lab: MakeLab, deaf: str, hearing: str) -> None:
    lab = make_lab(PAIR)
    lab.cable("a", "b").black_hole(towards=deaf)
    assert not arrives(lab, hearing, deaf, NOTHING_S)
    assert lab.cable("a", "b").counters(deaf).lost >= 1
    lab.cable("a", "b").black_hole(towards=hearing)
    lab.cable("a", "b").loss(0, towards=deaf)
    assert not arrives(lab, deaf, hearing, NOTHING_S)
    lab.cable("a", "b").loss(0)
    assert arrives(lab, deaf, hearing)
    assert arrives(lab, hearing, deaf)


def test_a_cable_pulled_out_and_in_again(make_lab: MakeLab) -> None:
    """With addresses and the way out, also where a router is behind."""
    lab = make_lab("switches: {net: {}}\nsites: {s: {boards: 1, internet: net}}\nmesh: stand-in")
    cable, board = lab.cable("s-1", "s"), lab.host("s-1")
    state = ["cat", "/sys/class/net/s/carrier"]
    assert board.run(state).stdout == "1\n"
    cable.down()
    assert board.run(state).stdout == "0\n"
    cable.up()
    lab.wait_until(lambda: board.run(state).stdout == "1\n", "the carrier is back")
    assert "default via" in board.run(["ip", "route"]).stdout
    board.run(["ping", "-c1", "-W5", lab.host("s-gate").node.address()])
    lab.cable("s-1", "mesh").down()
    lab.cable("s-1", "mesh").up()
    assert "fd53::1/64" in board.run(["ip", "address", "show", "mesh"]).stdout


def test_a_cable_between_two_hosts_pulled_out(make_lab: MakeLab) -> None:
    lab = make_lab(PAIR)
    lab.cable("a", "b").down()
    assert lab.host("a").run(["cat", "/sys/class/net/b/carrier"]).stdout == "0\n"
    lab.cable("a", "b").up()
    lab.host("b").run(["ping", "-c1", "-W5", lab.host("a").node.address()])


def test_delay(make_lab: MakeLab) -> None:
    lab = make_lab("hosts: [a, b]\ncables: [{between: [a, b], delay: 40ms}]")
    if machine.has_netem(lab.namespace("a")):
        said = lab.host("a").run(["ping", "-c3", "-W5", lab.host("b").node.address()]).stdout
        assert 80 <= float(said.rpartition("= ")[2].split("/")[0]) < 200
    else:
        assert "2 delays are left out" in lab.notes[0]
        with pytest.raises(MissingError, match="netem"):
            lab.cable("a", "b").delay(40)


def test_what_there_is_not_is_refused(make_lab: MakeLab) -> None:
    lab = make_lab(PAIR)
    with pytest.raises(LabError, match="no cable between 'a' and 'c'"):
        lab.cable("a", "c")
    with pytest.raises(LabError, match="'c' is no end"):
        lab.cable("a", "b").loss(0.1, towards="c")
    with pytest.raises(LabError, match="no share"):
        lab.cable("a", "b").loss(10)
    with pytest.raises(LabError, match="no host 'c'"):
        lab.host("c")


@pytest.mark.parametrize("towards", ["s-1", "s"])
def test_a_black_hole_at_a_switch(make_lab: MakeLab, towards: str) -> None:
    """Of one board alone; its neighbour goes on."""
    lab = make_lab("switches: {net: {}}\nsites: {s: {boards: 2, internet: net}}")
    gate = ["ping", "-c1", "-W1", lab.host("s-gate").node.address("s")]
    lab.host("s-1").run(gate)
    lab.cable("s-1", "s").black_hole(towards=towards)
    assert lab.host("s-1").run(gate, check=False).returncode == 1
    assert lab.cable("s-1", "s").counters(towards).lost >= 1
    lab.host("s-2").run(gate)
    lab.cable("s-1", "s").loss(0)
    lab.wait_until(lambda: lab.host("s-1").run(gate, check=False).returncode == 0, "the gate answers again")
