"""Two boards with real nodes: what is written while messenger or node of the other dies is there once, in order; and
nobody speaks as another.
"""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Iterator

import pytest

from services.keys import NodeId
from services.manager.routes.policy import Policy
from services.messenger.api_words import Contacts, GetContacts, Notes, NoteSent, SendNote, TakeNotes
from services.messenger.node_door import SERVICE
from services.messenger.wire import VERSION, Bye, FrameReader, Hello, frame
from tests.laboratory.model import By, Ready
from tests.mesh.conftest import check_lab
from tests.mesh.places import read
from tests.mesh.talk import Person
from tests.mesh.world import World, run_world

TWO = """
description: two boards on one cable; the first has the manager
hosts: [a, b]
cables: [{between: [a, b]}]
mesh: {managers: [a], plain: true}
"""
PROGRAM = "meshnet-messenger"
READY = Ready(By.NOTIFY, within_s=60)
PORT = 4444


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    check_lab()
    with run_world(read(TWO), tmp_path_factory.mktemp("messengers") / "lab") as world:
        for name in "ab":
            begin(world, name)
        world.connect_once_offered("a", "b", SERVICE, Policy())
        yield world


def begin(world: World, name: str) -> None:
    host = world.host(name)
    host.write({"messenger.yaml": ""})
    host.start([PROGRAM, "run", "--config", str(host.folder / "messenger.yaml")], name=PROGRAM, ready=READY)


def test_what_is_written_while_the_other_dies_is_there_once(two: World) -> None:
    here, there = Person(two.host("a")), Person(two.host("b"))
    texts = [f"word {number}" for number in range(60)]
    for number, text in enumerate(texts):
        if number in {10, 40}:
            two.host("b").job(PROGRAM).kill(signal.SIGKILL)
        if number == 25:
            begin(two, "b")
            two.host("b").job("node").kill(signal.SIGKILL)
        here.send("b", text)
    two.start_again("b")
    begin(two, "b")
    two.wait(lambda: not here.undelivered("b"), "all of it is there", 60, 0.1)
    assert there.texts_of_others("a") == texts
    there.send("a", "I have it all")
    two.wait(lambda: here.texts_of_others("b") == ["I have it all"], "the answer is there", 60, 0.1)


def test_a_note_is_taken_once_by_its_program(two: World) -> None:
    here, there = Person(two.host("a")), Person(two.host("b"))
    for _ in range(2):
        here.ask(SendNote("b", "peering", '{"say": "é"}', once="request 1"), NoteSent)
    (note,) = there.ask(TakeNotes("peering", wait_s=30), Notes).notes
    assert (note.node_id, note.body) == (two.id("a"), '{"say": "é"}')
    assert there.ask(TakeNotes("peering", since=0), Notes).notes == (note,), "until it was dealt with"
    assert there.ask(TakeNotes("peering", since=note.number), Notes).notes == ()
    assert there.ask(TakeNotes("other"), Notes).notes == ()


def test_nobody_speaks_as_another(two: World) -> None:
    """From a's own address, with b's id: b's messenger is told so, and believes nothing."""
    made = two.host("a").socket(socket.AF_INET6, socket.SOCK_STREAM)
    made.settimeout(20)
    made.bind((two.host("a").session_address, 0))
    made.connect((two.host("b").session_address, PORT))
    made.sendall(frame(Hello(VERSION, NodeId(two.id("b")), os.urandom(8))))
    frames, words = FrameReader(), []
    while data := made.recv(65536):
        words += frames.feed(data)
    made.close()
    assert isinstance(words[0], Hello)
    assert isinstance(words[-1], Bye)
    assert "does not have the address" in words[-1].why


def test_who_is_reached_is_online(two: World) -> None:
    begun = time.monotonic()
    Person(two.host("a")).send("b", "there?")
    two.wait(lambda: Person(two.host("b")).texts_of_others("a")[-1:] == ["there?"], "it is there", 30, 0.02)
    assert time.monotonic() - begun < 10
    (contact,) = Person(two.host("a")).ask(GetContacts(), Contacts).contacts
    assert (contact.node_id, contact.name, contact.by, contact.is_online) == (two.id("b"), "b", "vouched", True)
