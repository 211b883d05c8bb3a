"""How a node is let into a network: both ends of the join protocol, without I/O: bytes in, messages and bytes out.

    node                                   manager
      HELLO {version}                    →
                                         ←  CHALLENGE {manager, challenge}            once per connection
      REQUEST sealed(signed{challenge,
        manager, record, token?})        →                                            the caller decides
                                         ←  ADMITTED sealed(signed{challenge, …})     or REFUSED {why}

    manager of another cluster
      KNOCK in the place of REQUEST      →                                            see `peering.knock`
                                         ←  HEARD                                     or REFUSED {why}

Every message is a length (4 bytes, big endian), a kind (1 byte) and its body. The challenge is the manager's and lives
as long as the connection, so nothing can be replayed and no clock is compared. The seal keeps the token from whoever
listens; the signature says who asks. A node that knows the manager's id (from its invitation) takes no other.
"""

from __future__ import annotations

import secrets
from enum import IntEnum
from typing import TypeVar

import msgspec

from services.errors import IdentityError
from services.keys import Identity, NodeId, read_node_id, seal
from services.manager.errors import JoinError, WordsError
from services.manager.record import NodeRecord, read_record
from services.manager.signed import decode, read, sign

T = TypeVar("T")

VERSION = 1
MAX_MESSAGE = 64 * 1024
CHALLENGE_BYTES = 32
DEADLINE_S = 15.0
"""Of a whole connection: the caller closes it then."""

REQUEST, ANSWER = "skywire join request", "skywire join answer"


class Kind(IntEnum):
    HELLO = 1
    CHALLENGE = 2
    REQUEST = 3
    ADMITTED = 4
    REFUSED = 5
    KNOCK = 6
    HEARD = 7


class Hello(msgspec.Struct, frozen=True):
    version: int = VERSION


class Challenge(msgspec.Struct, frozen=True):
    manager: NodeId
    challenge: bytes
    version: int = VERSION


class Request(msgspec.Struct, frozen=True):
    """`record` is the signed record's bytes; `token` an invitation's secret, or empty."""

    manager: NodeId
    challenge: bytes
    record: bytes
    token: str = ""


class Admitted(msgspec.Struct, frozen=True):
    """What a node needs to take part: its token for the bus, where that is, whose orders it obeys, their records."""

    node_id: NodeId
    challenge: bytes
    bus_token: str
    bus_urls: tuple[str, ...]
    managers: tuple[NodeId, ...]
    records: tuple[bytes, ...]
    seen_from: str = ""


class Refused(msgspec.Struct, frozen=True):
    why: str


class Asked(msgspec.Struct, frozen=True):
    """A sound request: who asks is certain, whether they may is not."""

    node_id: NodeId
    record: NodeRecord
    signed_record: bytes
    token: str


class Knocking(msgspec.Struct, frozen=True):
    """Sealed, and not looked at yet; it must hold the challenge."""

    body: bytes
    challenge: bytes


class Frames:
    """Whole messages out of chunks; never holds more than one message and what came with it."""

    def __init__(self) -> None:
        self._data = bytearray()

    def feed(self, data: bytes) -> list[tuple[Kind, bytes]]:
        self._data += data
        found = []
        while len(self._data) >= 5:
            length = int.from_bytes(self._data[:4], "big")
            if not 1 <= length <= MAX_MESSAGE:
                raise JoinError(f"a message of {length} bytes: at most {MAX_MESSAGE}")
            if len(self._data) < 4 + length:
                break
            found.append((_kind(self._data[4]), bytes(self._data[5 : 4 + length])))
            del self._data[: 4 + length]
        if len(self._data) > 4 + MAX_MESSAGE:
            raise JoinError(f"more than {MAX_MESSAGE} bytes at once")
        return found


class ManagerEnd:
    """One connection, at the manager. `feed` gives a request once; then `admit` or `refuse`, and the end."""

    def __init__(self, manager: Identity) -> None:
        self._manager = manager
        self._frames = Frames()
        self._challenge = secrets.token_bytes(CHALLENGE_BYTES)
        self._wants = {Kind.HELLO}
        self._asked: NodeId | None = None

    def feed(self, data: bytes) -> tuple[bytes, Asked | Knocking | None]:
        """What to send, and what was asked. Raises JoinError: send `refuse`'s bytes and close."""
        send = b""
        asked: Asked | Knocking | None = None
        for kind, body in self._frames.feed(data):
            if kind not in self._wants:
                raise JoinError(f"{kind.name} where {_names(self._wants)} was expected")
            if kind is Kind.HELLO:
                if _read(body, Hello).version != VERSION:
                    raise JoinError(f"this manager speaks version {VERSION} of the join protocol")
                send += frame(Kind.CHALLENGE, Challenge(self._manager.node_id, self._challenge))
                self._wants = {Kind.REQUEST, Kind.KNOCK}
            else:
                self._wants = set()
                asked = Knocking(body, self._challenge) if kind is Kind.KNOCK else self._open(body)
        return send, asked

    def admit(
        self,
        bus_token: str,
        bus_urls: tuple[str, ...],
        managers: tuple[NodeId, ...],
        records: tuple[bytes, ...],
        seen_from: str = "",
    ) -> bytes:
        if self._asked is None:
            raise ValueError("nobody asked")
        words = Admitted(self._asked, self._challenge, bus_token, bus_urls, managers, records, seen_from)
        return frame(Kind.ADMITTED, seal(self._asked, sign(self._manager, ANSWER, words)))

    def refuse(self, why: str) -> bytes:
        return frame(Kind.REFUSED, Refused(why))

    def _open(self, body: bytes) -> Asked:
        try:
            node_id, request = read(self._manager.unseal(body), REQUEST, Request)
            record = read_record(request.record)
        except (IdentityError, WordsError) as error:
            raise JoinError(f"the request is not sound: {error}") from None
        if request.manager != self._manager.node_id or not secrets.compare_digest(request.challenge, self._challenge):
            raise JoinError("the request answers another challenge: it was made for another connection")
        if record.node_id != node_id:
            raise JoinError(f"the request of node '{node_id}' brings the record of '{record.node_id}'")
        self._asked = node_id
        return Asked(node_id, record, request.record, request.token)


class NodeEnd:
    """One connection, at the node. `manager` is who it must be; None takes whoever answers, as on a first LAN."""

    def __init__(self, identity: Identity, record: bytes, token: str = "", manager: NodeId | None = None) -> None:
        self._identity, self._record, self._token, self._manager = identity, record, token, manager
        self._frames = Frames()
        self._challenge = b""

    @property
    def manager(self) -> NodeId | None:
        """Who answers; certain once it has admitted."""
        return self._manager

    def begin(self) -> bytes:
        return frame(Kind.HELLO, Hello())

    def feed(self, data: bytes) -> tuple[bytes, Admitted | None]:
        """What to send, and the admission when it came. Raises JoinError; for a refusal, with the manager's words."""
        send, admitted = b"", None
        for kind, body in self._frames.feed(data):
            if kind is Kind.REFUSED:
                raise JoinError(f"the manager refused: {_read(body, Refused).why[:300]!a}")
            if kind is Kind.CHALLENGE and not self._challenge:
                send += self._answer(_read(body, Challenge))
            elif kind is Kind.ADMITTED and self._challenge:
                admitted = self._check(body)
            else:
                raise JoinError(f"{kind.name} was not expected now")
        return send, admitted

    def _answer(self, challenge: Challenge) -> bytes:
        try:
            manager = read_node_id(challenge.manager)
        except IdentityError as error:
            raise JoinError(f"who answers is no manager: {error}") from None
        if self._manager not in {None, manager}:
            raise JoinError(f"manager '{manager}' answers, not '{self._manager}' (wrong address?)")
        if len(challenge.challenge) != CHALLENGE_BYTES:
            raise JoinError(f"a challenge has {CHALLENGE_BYTES} bytes, this one {len(challenge.challenge)}")
        self._manager, self._challenge = manager, challenge.challenge
        request = Request(manager, challenge.challenge, self._record, self._token)
        return frame(Kind.REQUEST, seal(manager, sign(self._identity, REQUEST, request)))

    def _check(self, body: bytes) -> Admitted:
        try:
            by, words = read(self._identity.unseal(body), ANSWER, Admitted)
        except (IdentityError, WordsError) as error:
            raise JoinError(f"the admission is not sound: {error}") from None
        if by != self._manager or words.challenge != self._challenge or words.node_id != self._identity.node_id:
            raise JoinError(f"the admission by '{by}' is for another node or connection")
        return words


def frame(kind: Kind, body: msgspec.Struct | bytes) -> bytes:
    data = body if isinstance(body, bytes) else msgspec.json.encode(body)
    return (1 + len(data)).to_bytes(4, "big") + bytes([kind]) + data


def _names(kinds: set[Kind]) -> str:
    return " or ".join(kind.name for kind in sorted(kinds)) or "nothing"


def _kind(number: int) -> Kind:
    try:
        return Kind(number)
    except ValueError:
        raise JoinError(f"a message of kind {number}: none is known") from None


def _read(body: bytes, kind: type[T]) -> T:
    try:
        return decode(body, kind, "join")
    except WordsError as error:
        raise JoinError(str(error)) from None
