"""A seed as 24 BIP39 words, to write down, and back. This module is the door to mnemonic; reading from people and
showing to them is the command's. The words are the seed: they are kept in no object and named in no error, except
a word that is not one of the list, or that does not fit.
"""

from __future__ import annotations

import difflib
import re
from functools import cache

from mnemonic import Mnemonic

from services.errors import WordsError
from services.secrecy import Secret

WORDS = 24
MAX_LETTERS = 4096

_NUMBER = re.compile(r"\d{1,2}[.):]?")
_WORD = re.compile(r"[a-z]{1,16}")
_NAMED = 5


def to_words(seed: Secret) -> list[str]:
    return _list().to_mnemonic(seed.reveal()).split()


def read_words(text: str) -> Secret:
    """The seed behind words as people write them: any case and white space, numbered or not. Raises WordsError."""
    if len(text) > MAX_LETTERS:
        raise WordsError(f"more than {MAX_LETTERS} letters: expected {WORDS} words")
    words = split(text)
    if unknown := [number for number, word in enumerate(words) if word not in _list().wordlist]:
        raise WordsError("; ".join(_unknown(number, words[number]) for number in unknown[:_NAMED]))
    if len(words) != WORDS:
        raise WordsError(f"expected {WORDS} words, found {len(words)}")
    if (seed := _fitting(words)) is None:
        raise WordsError(
            f"the {WORDS} words do not belong together: one is wrong, or some are swapped{_suspects(words)}"
        )
    return seed


def split(text: str) -> list[str]:
    """The words alone, without the numbers that `export` prints before them."""
    return [word for word in text.lower().split() if not _NUMBER.fullmatch(word)]


@cache
def _list() -> Mnemonic:
    return Mnemonic("english")


def _fitting(words: list[str]) -> Secret | None:
    """The seed, if the checksum in the last word agrees."""
    try:
        return Secret(_list().to_entropy(words))
    except ValueError:
        return None


def _unknown(index: int, word: str) -> str:
    """What is not even shaped like a word may be a pasted key, and is not repeated."""
    if not _WORD.fullmatch(word):
        return f"word {index + 1} is not a word ({len(word)} characters)"
    close = _close(word)
    hint = f" (did you mean '{close[0]}'?)" if close else ""
    return f"word {index + 1}, '{word}', is not in the list{hint}"


def _close(word: str) -> list[str]:
    return difflib.get_close_matches(word, _list().wordlist, n=4, cutoff=0.7)


def _suspects(words: list[str]) -> str:
    """The likely slips that would explain it: a word like another, or two neighbours swapped."""
    found = [f"word {number + 1}, '{word}'" for number, word in enumerate(words) if _mends(words, number)]
    for number in range(WORDS - 1):
        swapped = [*words[:number], words[number + 1], words[number], *words[number + 2 :]]
        if _fitting(swapped) is not None:
            found.append(f"the order of words {number + 1} and {number + 2}")
    return f" (look first at {', or '.join(found)})" if found else ""


def _mends(words: list[str], number: int) -> bool:
    others = [other for other in _close(words[number]) if other != words[number]]
    return any(_fitting([*words[:number], other, *words[number + 1 :]]) is not None for other in others)
