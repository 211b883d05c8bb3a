"""Words there and back by published vectors; what people get wrong when they write words down is named to them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.errors import WordsError
from services.secrecy import Secret
from services.words import read_words, to_words

ABC = "abandon " * 23 + "art"
LEGAL = "legal winner thank year wave sausage worth useful " * 2 + "legal winner thank year wave sausage worth title"
LETTER = "letter advice cage absurd amount doctor acoustic avoid " * 2
LETTER += "letter advice cage absurd amount doctor acoustic bless"


@pytest.mark.parametrize(("byte", "words"), [(0x00, ABC), (0x7F, LEGAL), (0x80, LETTER), (0xFF, "zoo " * 23 + "vote")])
def test_the_vectors_of_the_standard(byte: int, words: str) -> None:
    seed = Secret(bytes([byte]) * 32)
    assert to_words(seed) == words.split()
    assert read_words(words) == seed


@given(st.binary(min_size=32, max_size=32))
def test_there_and_back(seed: bytes) -> None:
    words = to_words(Secret(seed))
    assert len(words) == 24
    assert read_words(" ".join(words)) == Secret(seed)


def test_words_are_taken_as_people_write_them() -> None:
    numbered = "\n".join(f"  {number}. {word.title()}\t" for number, word in enumerate(LEGAL.split(), 1))
    assert read_words(numbered) == read_words(LEGAL.upper()) == Secret(b"\x7f" * 32)


@given(st.text() | st.lists(st.sampled_from([*LEGAL.split(), "1.", "xyz"]), max_size=30).map(" ".join))
def test_other_text_is_refused_in_one_line(text: str) -> None:
    try:
        words = to_words(read_words(text))
    except WordsError as error:
        told = str(error)
    else:
        told = ""
        assert set(words) <= set(text.lower().split())
    assert told.isprintable()
    assert len(told) < 1000


# what is told


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "expected 24 words, found 0"),
        ("abandon " * 12, "expected 24 words, found 12"),
        ("abandon " * 25, "expected 24 words, found 25"),
        (ABC.replace("abandon", "abanden", 1), "word 1, 'abanden', is not in the list (did you mean 'abandon'?)"),
        (LEGAL.replace("title", "tittle"), "word 24, 'tittle', is not in the list (did you mean 'title'?)"),
        ("abandon qqq " * 12, "word 2, 'qqq', is not in the list; word 4, 'qqq', is not in the list"),
        ("a " * 10_000, "more than 4096 letters: expected 24 words"),
    ],
)
def test_the_wrong_word_is_named(text: str, told: str) -> None:
    with pytest.raises(WordsError) as caught:
        read_words(text)
    assert str(caught.value).startswith(told)


def test_a_word_like_another_is_found_by_the_checksum() -> None:
    words = LEGAL.split()
    words[1] = "winter"  # for winner
    with pytest.raises(WordsError, match=r"do not belong together.*look first at.*word 2, 'winter'"):
        read_words(" ".join(words))


def test_swapped_words_are_found_by_the_checksum() -> None:
    words = LEGAL.split()
    words[3], words[4] = words[4], words[3]
    with pytest.raises(WordsError, match=r"look first at.*the order of words 4 and 5"):
        read_words(" ".join(words))


def test_words_that_nothing_explains_are_refused_all_the_same() -> None:
    with pytest.raises(WordsError, match=r"do not belong together"):
        read_words(" ".join(reversed(LEGAL.split())))


def test_what_is_no_word_is_not_repeated() -> None:
    seed = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60"
    with pytest.raises(WordsError) as caught:
        read_words(seed)
    assert str(caught.value) == "word 1 is not a word (64 characters)"
