"""Takes out of a text whatever could be a secret. Pure; it would rather take too much.

Keys, seeds, hashes and ids look alike, so all are taken and stand as a mark of their kind, with a number: the same text
has the same number throughout one archive, so that lines can be told to be of one node. Ids known to be public stay.
"""

import base64
import binascii
import re
from collections.abc import Collection
from functools import cache

from skywire_board.logins import without_login

WORDS_IN_A_ROW = 4
LINES_IN_A_ROW = 3

_PEM = re.compile(r"-----BEGIN [A-Z ]*-----.*?(?:-----END [A-Z ]*-----|\Z)", re.DOTALL)
_INVITATION = re.compile(r"skywire:[0-9a-f]{64}@[^\s\"']+")
_TOKEN = re.compile(r"\b[0-9a-f]{16}\.[A-Za-z0-9_-]{22}(?![A-Za-z0-9_-])")
_QUOTED = r"\\?\"(?:[^\"\\\n]|\\.)*\"?|'[^'\n]*'?"
_VALUE = rf"({_QUOTED}|[^\s,;}}\]\"'][^\s\"']*)"
_IS = r"\\?[\"']?\s{0,16}[:=]\s{0,16}"
_NAMED = re.compile(
    r"(?i)((?:psk|passw|passphrase|secret|token|invit|seed|private|preshared|mnemonic|credential|words)[\w.-]{0,32}"
    rf"{_IS})({_QUOTED}|[^\s,;}}\]\"'][^,;}}\]\"'\n]*)"
)
_BRIEF = re.compile(rf"(?i)((?<![A-Za-z0-9])(?:pw|pwd|pass){_IS})(?!/){_VALUE}")
_OPTION = re.compile(
    r"(?i)((?<![\w-])--?[\w-]{0,32}(?:psk|pass|pw|secret|token|invit|seed|mnemonic|credential)[\w-]{0,32}"
    rf"\\?[\"']?(?:\s{{0,16}}[,=]\s{{0,16}}|\s{{1,16}})){_VALUE}"
)
_SPOKEN = re.compile(
    r"(?i)((?<![\w-])(?:password|passphrase|passwd|passcode|psk|pw)(?:\s{1,16}(?:is|was))?\s{1,16})"
    r"(?!(?:for|from|of|to|in|on|or|and|is|was|has|not|no|requests?|authentication|file|agent|wrong|too|must|needs)"
    rf"(?:\s|$)){_VALUE}"
)
_LOGIN = re.compile(r"((?<!\S)(?:-u|--user|--proxy-user)[\s=]{1,16})[^\s:]{0,64}:\S+")
_HEADER = re.compile(rf"(?i)((?:proxy-)?authorization|(?:set-)?cookie|x-api-key|x-auth-token)({_IS})[^\n]+")
_SCHEME = re.compile(r"(?i)\b(basic|bearer)(\s{1,16})([A-Za-z0-9+/._~-]{6,}={0,2})")
_HEX = re.compile(r"(?<![0-9A-Za-z])(?:0x)?(?:[0-9a-f]{24,}|[0-9A-F]{24,})(?![0-9A-Za-z])")
_BYTES = re.compile(r"(?i)(?:[0-9a-f]{2}[:\s-]){12,}[0-9a-f]{2}|(?:\\x[0-9a-f]{2}){8,}|(?:\d{1,3},\s*){16,}\d{1,3}")
_LONG = re.compile(r"[A-Za-z0-9+/_-]{28,}={0,2}")
_LOUD = re.compile(r"(?<![A-Z0-9])[A-Z2-7]{40,}")
_WORD = re.compile(r"[A-Za-z]+")
_BETWEEN = re.compile(r"[\s,;\"'\[\]]*(?:\d{1,2}[.):]?\s+)?[\"']?")
_LONE = re.compile(r"(?:.*: )?\s*(?:\d{1,2}[.):]?\s+)?([A-Za-z]+)\s*")


class Redactor:
    """`known`: secrets that have no form of their own, such as the Wi-Fi's password; `public`: ids that may stay."""

    def __init__(self, known: Collection[str] = (), public: Collection[str] = ()) -> None:
        self._known = sorted({form for text in known for form in _forms(text)}, key=len, reverse=True)
        self._public = frozenset(public)
        self._numbers: dict[str, int] = {}

    def clean(self, text: str) -> str:
        text = without_login(text, "<secret>@")
        for form in self._known:
            text = text.replace(form, "<secret>")
        text = _PEM.sub("<key>", text)
        text = _INVITATION.sub("<invitation>", text)
        text = _TOKEN.sub("<token>", text)
        text = _SCHEME.sub(_credentials, _HEADER.sub(r"\1\2<secret>", text))
        for named in (_NAMED, _BRIEF, _OPTION, _SPOKEN, _LOGIN):
            text = named.sub(r"\1<secret>", text)
        text = _without_words(_without_lone_words(text))
        text = _HEX.sub(self._hex, text)
        text = _BYTES.sub("<bytes>", text)
        text = _LOUD.sub(lambda found: self._mark("key", found[0]), text)
        return _LONG.sub(self._long, text)

    def _hex(self, found: re.Match[str]) -> str:
        return found[0] if found[0] in self._public else self._mark("id", found[0])

    def _long(self, found: re.Match[str]) -> str:
        """Base64 mixes its letters; names of files and units do not, or are paths."""
        text = found[0]
        if text in self._public or not (re.search("[A-Z]", text) and re.search("[a-z]", text)):
            return text
        return self._mark("key", text)

    def _mark(self, kind: str, text: str) -> str:
        return f"<{kind} {self._numbers.setdefault(text, len(self._numbers) + 1)}>"


def _credentials(found: re.Match[str]) -> str:
    """What HTTP's words for a login name; `Basic System` is none."""
    if found[1].lower() == "basic":
        try:
            if b":" not in base64.b64decode(found[3] + "=" * (-len(found[3]) % 4), altchars=b"-_"):
                return found[0]
        except binascii.Error:
            return found[0]
    return f"{found[1]}{found[2]}<secret>"


def _forms(text: str) -> set[str]:
    """A short secret as it is, and as it may have been written by a program. Shorter ones would mangle everything."""
    import json  # noqa: PLC0415
    import urllib.parse  # noqa: PLC0415

    data = text.encode()
    if len(data) < 4:
        return set()
    forms = {text, json.dumps(text)[1:-1], urllib.parse.quote(text), data.hex(), data.hex().upper()}
    for lead in range(3):  # the middle of it, at each place that it can have in a longer base64
        whole = base64.b64encode(bytes(lead) + data).decode()
        middle = whole[(lead * 8 + 5) // 6 :].rstrip("=")[:-1]
        forms |= {middle, middle.translate(str.maketrans("+/", "-_"))}
    return {form for form in forms if len(form) >= 4}


@cache
def _list() -> frozenset[str]:
    from mnemonic import Mnemonic  # noqa: PLC0415  # 2048 words, for the archive alone

    return frozenset(Mnemonic("english").wordlist)


def _without_words(text: str) -> str:
    """Several words of the BIP39 list in a row are taken for part of a backup."""
    out: list[str] = []
    done, row_start, row_end, count = 0, 0, -1, 0
    for found in _WORD.finditer(text):
        if found[0].lower() not in _list():
            continue
        if row_end < 0 or not _BETWEEN.fullmatch(text, row_end, found.start()):
            if count >= WORDS_IN_A_ROW:
                out += [text[done:row_start], "<words>"]
                done = row_end
            row_start, count = found.start(), 0
        row_end, count = found.end(), count + 1
    if count >= WORDS_IN_A_ROW:
        out += [text[done:row_start], "<words>"]
        done = row_end
    return "".join((*out, text[done:]))


def _without_lone_words(text: str) -> str:
    """Lines that end in one word of the list and nothing else, several in a row: a backup, a word a line."""
    lines = text.split("\n")
    places = [found if (found := _LONE.fullmatch(line)) and found[1].lower() in _list() else None for line in lines]
    at = 0
    while at < len(lines):
        end = at
        while end < len(lines) and places[end] is not None:
            end += 1
        if end - at >= LINES_IN_A_ROW:
            for number in range(at, end):
                found = places[number]
                lines[number] = f"{lines[number][: found.start(1)]}<word>" if found else lines[number]
        at = max(end, at + 1)
    return "\n".join(lines)
