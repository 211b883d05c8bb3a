"""How a manager asks another cluster to peer before there is any mesh between them: at its join port, as a request that
is signed, sealed and bound to the challenge of the connection (`admission`). It admits nobody: it is written down and
waits for an operator, and whoever knocked asks again what became of it. No I/O.

    asker   HELLO   →   ←  CHALLENGE    KNOCK sealed(signed{challenge, wants, record, …})  →
                        ←  HEARD sealed(signed{challenge, stage, record})                  or REFUSED {why}
"""

from __future__ import annotations

import secrets
from typing import Literal

import msgspec

from services.errors import IdentityError
from services.keys import Identity, NodeId, seal
from services.manager.admission import CHALLENGE_BYTES, Challenge, Frames, Hello, Kind, Knocking, Refused, frame
from services.manager.config import read_place
from services.manager.errors import JoinError, WordsError
from services.manager.peering.model import Stage
from services.manager.record import read_record
from services.manager.signed import decode, read, sign

KNOCK, HEARD = "skywire peering request", "skywire peering answer"
MAX_TEXT = 200

Wants = Literal["peer", "still", "end"]
"""To peer; to find one another again, being peered; to be peered no longer."""


class Knock(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`at` is the asker's own join port, if it has one that is reached."""

    manager: NodeId
    challenge: bytes
    wants: Wants
    record: bytes
    at: str = ""


class Heard(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`stage` as the asker has it: asked, peered, refused, ended. `record` is there once it is peered."""

    manager: NodeId
    challenge: bytes
    stage: Stage
    record: bytes = b""
    seen_from: str = ""


def open_knock(identity: Identity, knocking: Knocking) -> tuple[NodeId, Knock]:
    """Who knocks, and for what. Raises JoinError."""
    try:
        by, knock = read(identity.unseal(knocking.body), KNOCK, Knock)
        record = read_record(knock.record)
        if knock.at:
            read_place(knock.at)
    except (IdentityError, WordsError, ValueError) as error:
        raise JoinError(f"the request is not sound: {error}") from None
    if knock.manager != identity.node_id or not secrets.compare_digest(knock.challenge, knocking.challenge):
        raise JoinError("the request answers another challenge: it was made for another connection")
    if record.node_id != by or by == identity.node_id or len(knock.at) > MAX_TEXT:
        raise JoinError(f"the request of manager '{by}' brings the record of another, or none of its own")
    return by, knock


def answer_knock(identity: Identity, by: NodeId, heard: Heard) -> bytes:
    """What to send."""
    return frame(Kind.HEARD, seal(by, sign(identity, HEARD, heard)))


class KnockingEnd:
    """One connection, at who knocks."""

    def __init__(self, identity: Identity, manager: NodeId, wants: Wants, record: bytes, at: str) -> None:
        self._identity, self._manager, self._wants, self._record, self._at = identity, manager, wants, record, at
        self._frames = Frames()
        self._challenge = b""

    def begin(self) -> bytes:
        return frame(Kind.HELLO, Hello())

    def feed(self, data: bytes) -> tuple[bytes, Heard | None]:
        """What to send, and the answer when it came. Raises JoinError; for a refusal, with the other's words."""
        send, heard = b"", None
        for kind, body in self._frames.feed(data):
            try:
                if kind is Kind.REFUSED:
                    raise JoinError(f"they refuse: {decode(body, Refused, 'refusal').why[:300]!a}")
                if kind is Kind.CHALLENGE and not self._challenge:
                    send += self._knock(decode(body, Challenge, "challenge"))
                elif kind is Kind.HEARD and self._challenge:
                    heard = self._check(body)
                else:
                    raise JoinError(f"{kind.name} was not expected now")
            except (WordsError, IdentityError) as error:
                raise JoinError(f"their answer is not sound: {error}") from None
        return send, heard

    def _knock(self, challenge: Challenge) -> bytes:
        if challenge.manager != self._manager:
            raise JoinError(f"manager '{challenge.manager[:64]}' answers, not '{self._manager}' (wrong address?)")
        if len(challenge.challenge) != CHALLENGE_BYTES:
            raise JoinError(f"a challenge has {CHALLENGE_BYTES} bytes, this one {len(challenge.challenge)}")
        self._challenge = challenge.challenge
        knock = Knock(self._manager, self._challenge, self._wants, self._record, self._at)
        return frame(Kind.KNOCK, seal(self._manager, sign(self._identity, KNOCK, knock)))

    def _check(self, body: bytes) -> Heard:
        by, heard = read(self._identity.unseal(body), HEARD, Heard)
        if by != self._manager or heard.challenge != self._challenge or heard.manager != self._identity.node_id:
            raise JoinError(f"the answer by '{by}' is for another connection")
        if heard.record and read_record(heard.record).node_id != self._manager:
            raise JoinError(f"the answer of manager '{by}' brings the record of another")
        return heard
