"""What two peered managers say to each other, pure: one line of JSON asks, one answers, a connection for each.

{"ask":"say","services":[…],"routes":["09fa…"]}            every few seconds, and with each change: what is offered
{"is":"heard","routes":["09fa…"]}                          which of those routes are known here
{"ask":"half","initiator":"31ab…","responder":"77c0…","service":"vpn","routes":["09fa…"],"vouch":"…"}
{"is":"found","challenge":"…","halves":[{"nodes":["c4d2…","77c0…"],…}]}
{"ask":"lay","request":"…","vouch":"…"}                    the initiator's own signed request

They meet at TCP port 4223 of the borders' session addresses, so that who asks is known by the source address. What a
manager vouches for is signed besides, since the responder checks it itself.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from services.keys import Identity, NodeId
from services.manager.asks import CHALLENGE_BYTES, MAX_ROUTES, SESSION_REQUEST, SessionRequest
from services.manager.errors import WordsError
from services.manager.model import Service
from services.manager.offer import check_name, read_service
from services.manager.peering.model import Import
from services.manager.routes.policy import Policy
from services.manager.signed import decode, read, sign

PORT = 4223
MAX_LINE = 512 * 1024
MAX_SERVICES, MAX_CROSSING = 256, 4096
MAX_SAID = 256 * 1024
"""Bytes of services, before they are written in base64; beside them is room for the routes."""

VOUCH = "skywire member of a peered cluster"
"""The purpose of a manager's signature over a Vouch."""


class _Ask(msgspec.Struct, frozen=True, tag_field="ask", forbid_unknown_fields=True):
    pass


class _Answer(msgspec.Struct, frozen=True, tag_field="is", forbid_unknown_fields=True):
    pass


class Vouch(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """By the manager that peers: this node is of its cluster, and wants that. The challenge is the responder's; it is
    empty where one is asked for.
    """

    initiator: NodeId
    responder: NodeId
    service: str
    challenge: bytes = b""


class Say(_Ask, frozen=True, tag="say"):
    """All that the other side may use; what is missing is withdrawn. `routes` begin here and cross the border."""

    services: tuple[Import, ...]
    routes: tuple[str, ...]
    record: bytes


class Half(_Ask, frozen=True, tag="half"):
    """Wanted: as many ways from the border to the responder as there are routes. `beside`: such a way that stays."""

    initiator: NodeId
    responder: NodeId
    service: str
    routes: tuple[str, ...]
    policy: Policy = Policy()
    beside: tuple[NodeId, ...] = ()
    vouch: bytes = b""


class Lay(_Ask, frozen=True, tag="lay"):
    """`request` is a signed SessionRequest for what was found just now."""

    request: bytes
    vouch: bytes = b""


class Drop(_Ask, frozen=True, tag="drop"):
    """Routes that begin here and are needed no longer."""

    routes: tuple[str, ...]


class Bye(_Ask, frozen=True, tag="bye"):
    """The peering is over."""

    why: str = ""


Ask = Say | Half | Lay | Drop | Bye


class Way(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """From the border to the responder, both included."""

    nodes: tuple[NodeId, ...]
    mtu: int
    latency_s: float


class Heard(_Answer, frozen=True, tag="heard"):
    routes: tuple[str, ...]


class Found(_Answer, frozen=True, tag="found"):
    """The second of two routes takes the second of `halves`, where there is one, else the first too."""

    challenge: bytes
    halves: tuple[Way, ...]
    session_port: int
    reason: str = ""


class Done(_Answer, frozen=True, tag="done"):
    pass


class Refused(_Answer, frozen=True, tag="refused"):
    why: str
    again: bool = False


Answer = Heard | Found | Done | Refused


def read_ask(line: bytes) -> Ask:
    """Raises WordsError."""
    ask: Ask = decode(line, Ask, "what a peer asks")  # type: ignore[arg-type]  # a union
    lists = {
        Say: lambda: len(ask.services) <= MAX_SERVICES and len(ask.routes) <= MAX_CROSSING,  # type: ignore[union-attr]
        Half: lambda: 1 <= len(ask.routes) <= MAX_ROUTES and len(set(ask.routes)) == len(ask.routes),  # type: ignore[union-attr]
        Drop: lambda: len(ask.routes) <= MAX_CROSSING,  # type: ignore[union-attr]
    }
    if not lists.get(type(ask), lambda: True)():
        raise WordsError(f"'{type(ask).__name__.lower()}' of a peer: a list too long, or something twice")
    return ask


def read_answer(line: bytes) -> Answer:
    """Raises WordsError."""
    answer: Answer = decode(line, Answer, "what a peer answers")  # type: ignore[arg-type]  # a union
    if isinstance(answer, Found) and (len(answer.challenge) != CHALLENGE_BYTES or len(answer.halves) > MAX_ROUTES):
        raise WordsError("what a peer found: no challenge, or too many ways")
    return answer


def fitting(services: Iterable[Import]) -> tuple[Import, ...]:
    """As many as one line holds."""
    found, size = list[Import](), 0
    for one in services:
        size += len(one.signed)
        if len(found) == MAX_SERVICES or size > MAX_SAID:
            break
        found.append(one)
    return tuple(found)


def read_lay(lay: Lay) -> SessionRequest:
    """Raises WordsError."""
    return read(lay.request, SESSION_REQUEST, SessionRequest)[1]


def read_offered(offered: Import) -> Service:
    """As its node signed it. Raises WordsError."""
    if offered.called:
        check_name(offered.called)
    return read_service(offered.signed)


def vouch_for(identity: Identity, request: Half | SessionRequest) -> bytes:
    """That the initiator is of this manager's cluster."""
    challenge = request.challenge if isinstance(request, SessionRequest) else b""
    return sign(identity, VOUCH, Vouch(request.initiator, request.responder, request.service, challenge))


def check_vouch(data: bytes, wanted: Vouch) -> NodeId:
    """The manager that vouches for just that. Raises WordsError."""
    by, vouch = read(data, VOUCH, Vouch)
    if vouch != wanted:
        raise WordsError(f"manager '{by}' vouches for something else than what is asked")
    return by
