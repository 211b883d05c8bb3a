"""Boards that pair for real: by multicast, TCP, their own nodes and managers. What each shows is what a shell sees."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator

import pytest

from services.pairing import api_words as words
from services.pairing.brain import SEEN_S
from tests.laboratory.model import By, Ready
from tests.mesh.conftest import check_lab
from tests.services.pairing.boards import Board, Boards, Watcher, run_boards, wait


@pytest.fixture(scope="module")
def boards(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Boards]:
    check_lab()
    folder = tmp_path_factory.mktemp("pairing") / "lab"
    with run_boards("one two three", folder, one="role: manager", two="role: member") as running:
        yield running


def hold(*boards: Board) -> list[Watcher]:
    return [board.hold() for board in boards]


FLOOD = """import socket, sys, time
print("floods", flush=True)
ends = []
while True:
    end = socket.socket(); end.settimeout(1)
    try:
        end.connect((sys.argv[1], 7998))
        end.sendall([b"", b"GET / HTTP/1.1\\r\\n\\r\\n", b"{}\\n", b"x" * 9000][len(ends) % 4])
    except OSError:
        time.sleep(0.02)
    ends = [*ends[-200:], end]
"""


def compare(one: Board, two: Board) -> tuple[Watcher, Watcher]:
    watchers = hold(one, two)
    seen = [watcher.until("comparing") for watcher in watchers]
    assert [each.stage for each in seen] == ["comparing", "comparing"], seen
    assert seen[0].code == seen[1].code != ""
    assert (seen[0].part, seen[1].part, seen[0].other, seen[1].other) == ("manager", "new", two.name, one.name)
    time.sleep(SEEN_S + 0.1)  # a person compares the codes; a press before that does not count
    return watchers[0], watchers[1]


def test_two_candidates_at_once_are_refused_and_told(boards: Boards) -> None:
    watchers = hold(*boards.all.values())
    ends = [watcher.until("refused") for watcher in watchers]
    assert [end.stage for end in ends] == ["refused"] * 3, ends
    assert all("two other boards" in end.text for end in ends), ends
    for board in boards.all.values():
        board.pairing.wait(20)


def test_without_the_managers_press_nothing_joins(boards: Boards) -> None:
    one, two = boards["one"], boards["two"]
    manager, new = compare(one, two)
    new.say(words.Confirm())
    new.say(words.Cancel())
    assert manager.until("refused").stage == new.until("refused").stage == "refused"
    for board in (one, two):
        board.pairing.wait(20)
        assert len(board.members()) == 1
    assert not two.joined.exists()
    assert not two.sees_open(one, 7998), "the pairing's port is open no longer than the pairing"


DEAF = """table inet apart {{
  chain deaf {{ type filter hook input priority -10; ip saddr {other} udp dport 5353 drop; }}
}}"""


def test_who_stands_between_two_boards_makes_them_show_two_codes(boards: Boards) -> None:
    one, two, three = boards["one"], boards["two"], boards["three"]
    for board, other in ((one, two), (two, one)):
        board.host.run(["nft", "-f", "-"], given=DEAF.format(other=other.address))
    try:
        differ = any(here != there for here, there in (between_codes(one, two, three) for _ in range(2)))
    finally:
        for board in (one, two):
            board.host.run(["nft", "delete", "table", "inet", "apart"])
    assert differ, "he has one guess in 1296"
    assert not two.joined.exists()


def between_codes(one: Board, two: Board, three: Board) -> tuple[str, str]:
    """What the two boards show; nobody presses."""
    command = [sys.executable, "-m", "tests.services.pairing.between", one.address, two.address]
    between = three.host.start(command, name="between", ready=Ready(By.LINE, "^between"))
    watchers = hold(one, two)
    seen = [watcher.until("comparing") for watcher in watchers]
    assert [(each.stage, each.other) for each in seen] == [("comparing", "x"), ("comparing", "x")], seen
    for board, each in zip((one, two), seen, strict=True):
        between.wait_line(f"^code {board.address} {each.code}$", 10)
    for watcher in watchers:
        watcher.say(words.Cancel())
        watcher.until("refused")
    for board in (one, two):
        board.pairing.wait(20)
    between.kill()
    return seen[0].code, seen[1].code


def test_two_boards_pair(boards: Boards) -> None:
    one, two = boards["one"], boards["two"]
    assert not two.sees_open(one, 7997), "a network of one lets nobody knock"
    command = [sys.executable, "-c", FLOOD, one.address]
    flood = boards["three"].host.start(command, name="flood", ready=Ready(By.LINE, "floods"))
    manager, new = compare(one, two)
    flood.kill()
    assert two.sees_open(one, 7998)
    manager.say(words.Confirm())
    new.say(words.Confirm())
    assert manager.until("confirmed").stage == new.until("confirmed").stage == "confirmed"
    assert f'id: "{one.node().node_id}"' in two.joined.read_text()
    wait(lambda: two.node().works and len(one.members()) == 2, "the new board is in the manager's network")
    assert two.node().node_id in one.members()
    wait(lambda: not two.host.job("manager").is_running, "the new board's own manager has ended")
    assert two.host.job("manager").wait(1) == 0
    assert two.sees_open(one, 7997), "its members must be able to come back"
    two.pairing.wait(20)
    (again,) = hold(two)
    assert "of a network already" in again.until("refused").text
