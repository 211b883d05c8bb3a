"""The control port: its words, read from anything, and its connections, among enemies."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as some

from services.keys import Identity, new_seed
from services.vpn.errors import TalkError
from services.vpn.words import (
    MAX_LINE,
    Ended,
    Lease,
    Leased,
    LineReader,
    Ping,
    Pong,
    Refused,
    encode,
    read_answer,
    read_request,
)
from tests.services.kernel.conftest import MakeHost, make_host, swept
from tests.services.kernel.hosts import ROOT

__all__ = ["make_host", "swept"]

ID = Identity(new_seed()).node_id
CORPUS = (Path(__file__).parent / "corpus.txt").read_bytes().splitlines()
ASKED = [Lease(ID), Lease(ID, ("10.0.0.0/8", "fd00::/8")), Ping(), Ping(7)]
ANSWERED = [
    Leased("100.64.0.2", None, (), 1328),
    Leased("100.64.0.2", "fd54::2", ("100.64.0.1", "fd54::1"), 1328, 50.0, 1000, 999),
    Pong(7),
    Refused("no"),
    Ended("enough", 1.5),
]


@pytest.mark.parametrize("words", [*ASKED, *ANSWERED])
def test_words_come_back(words: Lease | Ping | Leased | Pong | Refused | Ended) -> None:
    (line,) = LineReader().feed(encode(words))
    assert (read_request if isinstance(words, Lease | Ping) else read_answer)(line) == words


@pytest.mark.parametrize("line", CORPUS)
def test_what_was_once_found_is_refused(line: bytes) -> None:
    for read in (read_request, read_answer):
        with pytest.raises(TalkError):
            read(line)


@given(some.binary(max_size=200))
@example(b"")
def test_anything_is_read_or_refused(data: bytes) -> None:
    for read in (read_request, read_answer):
        with contextlib.suppress(TalkError):
            assert encode(read(data))


@given(some.sampled_from([*ASKED, *ANSWERED]), some.data())
def test_a_changed_line_is_read_or_refused(words: Lease, data: some.DataObject) -> None:
    line = bytearray(encode(words)[:-1])
    for _ in range(data.draw(some.integers(1, 4))):
        line[data.draw(some.integers(0, len(line) - 1))] = data.draw(some.integers(0, 255))
    for read in (read_request, read_answer):
        try:
            found = read(bytes(line))
        except TalkError:
            continue
        if isinstance(found, Leased):
            assert found.mtu >= 576
            assert not any(address.is_loopback or address.is_multicast for address in found.addresses)


@given(some.lists(some.sampled_from(ASKED), max_size=5), some.lists(some.integers(1, 400), max_size=20))
def test_lines_come_in_pieces(asked: list[Lease | Ping], cuts: list[int]) -> None:
    data, lines, reader = b"".join(map(encode, asked)), [], LineReader()
    for cut in (*cuts, len(data)):
        lines += reader.feed(data[:cut])
        data = data[cut:]
    assert [read_request(line) for line in lines] == asked


def test_a_line_has_an_end() -> None:
    with pytest.raises(TalkError, match=f"more than {MAX_LINE} bytes"):
        LineReader().feed(b"x" * (MAX_LINE + 1))


def test_the_port_stands_its_enemies(make_host: MakeHost) -> None:
    host = make_host("control")
    told = host.run(f"--wdns={ROOT}", sys.executable, "-m", "tests.services.vpn.server.control_trial")
    assert told == "stood\n"
