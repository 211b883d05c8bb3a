"""Hosts: what is their own, how programs are started and waited for, and what a pulled plug leaves."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

import pytest

from tests.laboratory.conftest import MakeLab
from tests.laboratory.errors import CommandError, NotReadyError
from tests.laboratory.lab import Lab
from tests.laboratory.model import By, Ready
from tests.laboratory.sweep import wait_end
from tests.laboratory.topology import parse_topology

PAIR = "hosts: [a, b]\ncables: [{between: [a, b]}]"
LISTENER = """
import socket, sys, time
family = socket.AF_UNIX if sys.argv[1].startswith("/") else socket.AF_INET
door = socket.socket(family)
time.sleep(0.2)
door.bind(sys.argv[1] if family == socket.AF_UNIX else ("127.0.0.1", int(sys.argv[1])))
door.listen()
sys.stdin.read()
time.sleep(60)
"""
NOTIFIER = """
import os, socket, time
bell = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
bell.connect(chr(0) + os.environ["NOTIFY_SOCKET"][1:])
bell.send(b"STATUS=nearly")
time.sleep(0.2)
bell.send(b"STATUS=there\\nREADY=1")
time.sleep(60)
"""
FAMILY = "setsid sh -c 'sleep 300 & sleep 301' & echo born; wait"


def python(text: str, *words: str) -> list[str]:
    return [sys.executable, "-c", text, *words]


def test_what_is_a_hosts_own(make_lab: MakeLab) -> None:
    lab = make_lab(PAIR)
    host = lab.host("a")
    assert host.run(["hostname"]).stdout == "a\n"
    host.run(["touch", "/run/mark"])
    assert lab.host("b").run(["test", "-e", "/run/mark"], check=False).returncode == 1
    assert not Path("/run/mark").exists()
    assert "apptracker" in host.run(["apptracker", "--help"]).stdout
    host.run(["ping", "-c1", "-W5", "b"])
    with pytest.raises(CommandError, match="'sh -c echo no; exit 3' on 'a' ended with 3: no"):
        host.run(["sh", "-c", "echo no; exit 3"])


def test_each_way_to_be_ready(make_lab: MakeLab, tmp_path: Path) -> None:
    host = make_lab(PAIR).host("a")
    door = str(tmp_path / "door")
    begin = time.monotonic()
    host.start(python(LISTENER, door), ready=Ready(By.SOCKET, door))
    host.start(python(LISTENER, "4001"), ready=Ready(By.TCP, "127.0.0.1:4001"))
    host.start(python(NOTIFIER), ready=Ready(By.NOTIFY))
    assert time.monotonic() - begin >= 0.6
    host.start(["sh", "-c", "echo nearly; echo there; sleep 60"], ready=Ready(By.LINE, "^there$"))
    host.start(["true"], ready=Ready(By.END))
    assert len(host.pids()) >= 4


@pytest.mark.parametrize("by", [By.LINE, By.NOTIFY, By.SOCKET, By.TCP, By.END])
def test_who_ends_instead_is_told_of_with_its_last_words(make_lab: MakeLab, by: By) -> None:
    host = make_lab(PAIR).host("a")
    ready = Ready(by, "127.0.0.1:1" if by is By.TCP else "/nothing", within_s=20)
    with pytest.raises(NotReadyError, match=r"(?s)'dud'.*ended.*no luck"):
        host.start(["sh", "-c", "echo no luck; exit 4"], name="dud", ready=ready)


@pytest.mark.parametrize("by", [By.LINE, By.NOTIFY, By.SOCKET, By.TCP, By.END])
def test_who_takes_too_long_is_told_of(make_lab: MakeLab, by: By) -> None:
    host = make_lab(PAIR).host("a")
    ready = Ready(by, "127.0.0.1:1" if by is By.TCP else "/nothing", within_s=0.2)
    with pytest.raises(NotReadyError, match=r"0\.2 s"):
        host.start(["sleep", "60"], ready=ready)


def test_a_program_is_waited_for_and_ended(make_lab: MakeLab) -> None:
    host = make_lab(PAIR).host("a")
    job = host.start(["sh", "-c", "echo one; trap 'echo bye; exit 5' TERM; echo two; while :; do sleep 0.1; done"])
    assert job.wait_line("two") == "two"
    assert job.wait_line("o") == "one"
    assert job.is_running
    assert job.stop() == 5
    assert job.wait_line("bye") == "bye"
    with pytest.raises(NotReadyError, match="ended without a line 'three'"):
        job.wait_line("three")
    words = ["sh", "-c", "trap '' TERM; echo up; while :; do sleep 0.1; done"]
    stubborn = host.start(words, name="stubborn", ready=Ready(By.LINE, "up"))
    assert stubborn.stop(timeout_s=0.3) == -9
    written = job.log.read_text().splitlines()
    assert (written[:2], written[-1]) == (["one", "two"], "bye")


def test_a_pulled_plug_leaves_nothing_and_the_board_comes_back(make_lab: MakeLab) -> None:
    lab = make_lab(
        PAIR + "\nprograms: {life: {hosts: [a], argv: [sh, -c, 'echo up; exec sleep 99'], ready: {line: up}}}"
    )
    host, other = lab.host("a"), lab.host("b")
    host.start(["sh", "-c", FAMILY], ready=Ready(By.LINE, "born"))
    host.run(["ip", "link", "add", "sky0", "type", "bridge"])
    host.run(["nft", "add table inet skywire"])
    host.run(["mkdir", "-p", "/run/skywire/node"])
    lab.cable("a", "b").loss(0.01)
    before, first = host.pids(), host.job("life").pid
    assert len(before) >= 4
    host.power_off()
    assert host.pids() == []
    assert list(host.outside("/run").iterdir()) == []
    assert all(wait_end(pid, 0) for pid in before)
    assert other.run(["ping", "-c1", "-W1", host.node.address()], check=False).returncode != 0
    host.power_on()
    assert host.job("life").pid != first
    assert host.job("life").is_running
    assert "sky0" not in host.run(["ip", "link"]).stdout
    assert host.run(["nft", "list", "tables"]).stdout == "table netdev lab\n"
    other.run(["ping", "-c5", "-W5", "-i0.2", host.node.address()])


def test_a_socket_lives_in_the_hosts_network(make_lab: MakeLab) -> None:
    own = Path("/proc/self/ns/net").stat().st_ino
    lab = make_lab(PAIR)
    with lab.host("a").socket(2, 2) as made:
        made.bind((lab.host("a").node.address(), 0))
    with lab.host("b").socket(2, 2) as other, pytest.raises(OSError, match="Cannot assign"):
        other.bind((lab.host("a").node.address(), 0))
    assert Path("/proc/thread-self/ns/net").stat().st_ino == own
    assert os.getpid() not in lab.host("a").pids()


def test_who_lives_there_is_known_before_any_program_runs(tmp_path: Path, needs_machine: None) -> None:
    lab = Lab(parse_topology("hosts: [a, b]\ncables: [{between: [a, b]}]\nmesh: {plain: true}", "f"), tmp_path / "lab")
    try:
        lab.open()
        told = json.loads(lab.host("b").run(["node", "identity", "show", "--json"]).stdout)
        assert told["node_id"] == lab.residents["b"].node_id
        assert lab.host("a").run(["getent", "ahosts", "b.mesh"]).stdout.split()[0] == lab.residents["b"].address
    finally:
        lab.close()


def test_its_etc_is_its_own(make_lab: MakeLab) -> None:
    """Also where a program replaces a file there by another."""
    lab = make_lab(PAIR)
    a, b = lab.host("a"), lab.host("b")
    a.run(["sh", "-c", "echo mine >/etc/lab-new && mv /etc/lab-new /etc/lab-moved"])
    assert a.run(["cat", "/etc/lab-moved"]).stdout == "mine\n"
    assert b.run(["ls", "/etc/lab-moved"], check=False).returncode != 0
    assert not Path("/etc/lab-moved").exists()
    b.write({"resolv.conf": "nameserver 192.0.2.1\n"})
    assert b.run(["cat", "/etc/resolv.conf"]).stdout == "nameserver 192.0.2.1\n"
