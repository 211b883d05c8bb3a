"""One connection between two boards that pair, pure: lines in; lines to send and what happened out.

The board that dials commits first. After both offers each end has the same code, unless somebody stands between them,
and what is sealed is theirs alone. Nothing here decides: `brain` does.
"""

from __future__ import annotations

import hmac
import secrets
from dataclasses import dataclass

import msgspec

from services.keys import NodeId
from services.node.errors import VouchError
from services.node.vouching import read_vouched
from services.pairing import crypto
from services.pairing.crypto import Agreed, Ephemeral
from services.pairing.errors import TalkError
from services.pairing.model import Can, Me
from services.pairing.words import (
    RANDOM_BYTES,
    VERSION,
    Cancel,
    Commit,
    Inside,
    Offer,
    Sealed,
    read_inside,
    read_said,
)


@dataclass(frozen=True, slots=True)
class Met:
    """The offers were exchanged. `ages_s`: ours and theirs, as both ends know them."""

    code: str
    node_id: NodeId
    name: str
    can: Can
    ages_s: tuple[float, float]


@dataclass(frozen=True, slots=True)
class Cancelled:
    why: str


Happened = Met | Inside | Cancelled


class Exchange:
    """`begin` at the end that dials; then `feed` with each line. Any TalkError is its end."""

    def __init__(self, me: Me, key: Ephemeral, window: str) -> None:
        self._me, self._key, self._window = me, key, window
        self._is_first = False
        self._said: list[bytes] = []
        self._offer = b""
        self._age_s = 0.0
        self._agreed: Agreed | None = None
        self.other_window = ""
        """Known from the first line on, and certain after the offer."""

    def begin(self, age_s: float) -> bytes:
        self._is_first = True
        self._make_offer(age_s)
        return self._say(Commit(VERSION, self._window, crypto.commit(self._offer)))

    def feed(self, line: bytes, age_s: float) -> tuple[bytes, Happened | None]:
        """Raises TalkError."""
        word = read_said(line)
        match word:
            case Cancel(why):
                return b"", Cancelled(why)
            case Commit() if not self._is_first and not self._said:
                return self._take_commit(word, line, age_s), None
            case Offer() if len(self._said) == (1 if self._is_first else 2):
                return self._take_offer(word, line)
            case Sealed(box) if self._agreed is not None:
                return b"", read_inside(self._agreed.open(box, by_first=not self._is_first))
        raise TalkError(f"the other board says '{type(word).__name__.lower()}', which is not its turn")

    def seal(self, word: Inside) -> bytes:
        """Once both have met."""
        if self._agreed is None:
            raise TalkError("nothing is agreed with the other board yet")
        box = self._agreed.seal(msgspec.json.encode(word), by_first=self._is_first)
        return msgspec.json.encode(Sealed(box)) + b"\n"

    def _take_commit(self, word: Commit, line: bytes, age_s: float) -> bytes:
        if word.version != VERSION:
            raise TalkError(f"the other board pairs by version {word.version}, this one by {VERSION}: update the older")
        self._take_window(word.window)
        self._said.append(line)
        self._make_offer(age_s)
        self._said.append(self._offer)
        return self._offer + b"\n"

    def _take_offer(self, word: Offer, line: bytes) -> tuple[bytes, Met]:
        """The line itself is what was committed to, and what the code is of."""
        if not self._is_first:
            if not hmac.compare_digest(crypto.commit(line), msgspec.json.decode(self._said[0], type=Commit).commitment):
                raise TalkError("the other board's offer is not the one that it committed to")
            if word.window != self.other_window:
                raise TalkError("the other board's offer is of another pairing")
        self._take_window(word.window)
        node_id, key = self._read_vouch(word.vouch)
        self._said.append(line)
        send = b""
        if self._is_first:
            self._said.append(self._offer)
            send = self._offer + b"\n"
        self._agreed = self._key.agree(key, crypto.transcript(*self._said))
        return send, Met(self._agreed.code, node_id, word.name, word.can, (self._age_s, word.age_s))

    def _take_window(self, window: str) -> None:
        if window == self._window:
            raise TalkError("this board hears itself")
        self.other_window = window

    def _read_vouch(self, vouch: bytes) -> tuple[NodeId, bytes]:
        try:
            node_id, key = read_vouched(vouch, crypto.PURPOSE)
        except VouchError as error:
            raise TalkError(f"the other board's key is vouched for by nobody: {error}"[:300]) from None
        if node_id == self._me.node_id:
            raise TalkError("the other board says that it is this one")
        return node_id, key

    def _make_offer(self, age_s: float) -> None:
        self._age_s = round(age_s, 3)
        offer = Offer(
            self._window, self._me.vouch, self._me.can, self._age_s, self._me.name, secrets.token_bytes(RANDOM_BYTES)
        )
        self._offer = msgspec.json.encode(offer)

    def _say(self, word: Commit) -> bytes:
        line = msgspec.json.encode(word)
        self._said.append(line)
        return line + b"\n"
