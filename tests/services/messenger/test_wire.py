"""Frames and words: what is said is read, in chunks of any size; what is no word is refused and nothing else happens.
Bytes that were once trouble are kept in `corpus`.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.keys import Identity, NodeId, new_seed
from services.messenger.crypto import Keys, read_group
from services.messenger.errors import PeerKeyError, WireError
from services.messenger.model import Body, FileOffer, GroupState, Note, Seen, Text
from services.messenger.wire import (
    MAX_CHUNK,
    MAX_FRAME,
    VERSION,
    Ack,
    Bye,
    Chunk,
    Deposit,
    Fetch,
    FrameReader,
    Hello,
    Nack,
    Post,
    Word,
    frame,
    pack_body,
    read_body,
    read_word,
)

ME = Identity(new_seed()).node_id
CORPUS = sorted((Path(__file__).parent / "corpus").iterdir())
NUMBERS, IDS = st.integers(1, 2**53), st.binary(min_size=16, max_size=16)
WHYS = st.text(max_size=200)
WORDS: st.SearchStrategy[Word] = st.one_of(
    st.builds(Hello, st.just(VERSION), st.just(ME), st.binary(min_size=8, max_size=8), st.binary(max_size=100)),
    st.builds(Post, NUMBERS, st.binary(max_size=300)),
    st.builds(Ack, st.lists(NUMBERS, max_size=20).map(tuple)),
    st.builds(Nack, NUMBERS, WHYS, st.booleans()),
    st.builds(Deposit, NUMBERS, st.just(ME), IDS, st.binary(max_size=300)),
    st.builds(Fetch, IDS, st.integers(0, 1000), st.integers(1, 1000)),
    st.builds(Chunk, IDS, st.integers(0, 1000), st.binary(min_size=1, max_size=300)),
    st.builds(Bye, WHYS),
)
BODIES: st.SearchStrategy[Body] = st.one_of(
    st.builds(Text, st.just(""), IDS, NUMBERS, st.integers(0, 2**50), st.text(min_size=1, max_size=300), IDS),
    st.builds(Note, st.text(min_size=1, max_size=64), st.integers(0, 2**50), st.text(max_size=300)),
    st.builds(Seen, st.just("0" * 32), NUMBERS),
    st.builds(
        FileOffer, st.just(""), IDS, NUMBERS, st.just(0), IDS, st.just("a"), st.integers(0, 10**8), st.just(bytes(32))
    ),
)


@given(st.lists(WORDS, max_size=6), st.lists(st.integers(1, 50), max_size=10))
def test_words_come_through_in_any_chunks(words: list[Word], cuts: list[int]) -> None:
    data, reader, found = b"".join(map(frame, words)), FrameReader(), []
    for cut in cuts:
        found += reader.feed(data[:cut])
        data = data[cut:]
    found += reader.feed(data)
    assert found == words
    assert not reader.half_frame


@given(BODIES)
def test_bodies_come_through(body: Body) -> None:
    assert read_body(pack_body(body)) == body


@settings(max_examples=400)
@given(st.binary(max_size=400))
def test_noise_is_refused(data: bytes) -> None:
    check_noise(data)


@settings(max_examples=300)
@given(WORDS, st.data())
def test_words_with_wrong_bytes_are_refused(word: Word, data: st.DataObject) -> None:
    whole = bytearray(frame(word))
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    check_noise(bytes(whole))


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.name)
def test_what_was_trouble_once(path: Path) -> None:
    check_noise(path.read_bytes())


def test_the_corpus_is_there() -> None:
    assert len(CORPUS) >= 8


def check_noise(data: bytes) -> None:
    """Words or a WireError, of frames, words, bodies and sealed things."""
    for read in (FrameReader().feed, read_word, read_body):
        try:
            read(data)
        except WireError as error:
            said = str(error)
        else:
            continue
        assert said.isprintable()
        assert len(said) < 1000
    for take in (read_group, lambda item: KEYS.unseal(item, ME)):
        with pytest.raises((WireError, PeerKeyError)) as raised:
            take(data)
        assert str(raised.value).isprintable()


KEYS = Keys(new_seed())


@pytest.mark.parametrize("size", [0, MAX_FRAME + 1, 2**32 - 1])
def test_frames_too_long_are_refused_before_they_come(size: int) -> None:
    with pytest.raises(WireError, match=f"a frame of {size} bytes"):
        FrameReader().feed(size.to_bytes(4, "big"))


def test_the_largest_words_fit() -> None:
    text = Text("", bytes(16), 1, 0, "é" * 8192)
    assert read_body(pack_body(text)) == text
    for word in (
        Chunk(bytes(16), 0, bytes(MAX_CHUNK)),
        Post(1, pack_body(GroupState(bytes(32 * 1024)))),
        Ack(tuple(range(2**53 - 2048, 2**53))),
        Deposit(1, ME, bytes(16), bytes(72 * 1024)),
    ):
        assert FrameReader().feed(frame(word)) == [word]


def test_who_is_nobody_says_no_hello() -> None:
    with pytest.raises(WireError, match="is not a node id"):
        read_word(frame(Hello(VERSION, NodeId("x"), bytes(8)))[4:])
