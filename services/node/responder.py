"""Who may open a session with this node, decided by itself: an initiator's own signed words, over a challenge drawn
here that holds once and for seconds, for a service whose access list has it. A manager only carries them; what it adds
or changes is refused and told.
"""

from __future__ import annotations

import secrets
import time
from collections import OrderedDict
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Protocol

from services.addresses import LINKS, ROUTES, SESSIONS, read_route_id
from services.errors import IdentityError
from services.keys import NodeId, read_node_id
from services.manager.asks import (
    CHALLENGE_BYTES,
    MAX_ROUTES,
    SESSION_REQUEST,
    ChallengeWanted,
    SessionOffer,
    SessionRequest,
)
from services.manager.errors import WordsError
from services.manager.limits import Limits
from services.manager.peering.words import Vouch, check_vouch
from services.manager.record import MAX_ENDPOINTS
from services.manager.signed import read
from services.node.config import read_endpoint
from services.node.errors import OrderError
from services.node.troubles import Troubles

HOLDS_S = 10.0
MAX_WAITING, MAX_WAITING_OF_ONE = 4096, 32
PER_S, BURST = 5.0, 40
"""Challenges for one initiator."""


class Abroad(Protocol):
    def refusal(self, cluster: str, service: str) -> str:
        """Why nodes of that cluster may not have the service, or nothing."""


class Access(Protocol):
    def refusal(self, service: str, node_id: NodeId, cluster: str) -> str:
        """Why that node may not use the service here, or nothing."""


@dataclass(frozen=True, slots=True)
class _Drawn:
    initiator: NodeId
    service: str
    until_s: float


class Responder:
    def __init__(
        self,
        me: NodeId,
        access: Access,
        borders: Abroad,
        managers: Callable[[], Collection[NodeId]],
        troubles: Troubles,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._me, self._access, self._managers, self._troubles, self._clock = me, access, managers, troubles, clock
        self._borders = borders
        self._drawn: OrderedDict[bytes, _Drawn] = OrderedDict()
        self._limits = Limits(PER_S, BURST)

    def draw(self, wanted: ChallengeWanted) -> bytes:
        """A challenge for that initiator and service. Raises OrderError."""
        now_s, initiator = self._clock(), _check_id(wanted.initiator)
        self._forget_old(now_s)
        claim = Vouch(initiator, self._me, wanted.service)
        self._check_access(claim, wanted.cluster, wanted.vouch)
        of_one = sum(drawn.initiator == initiator for drawn in self._drawn.values())
        too_many = len(self._drawn) >= MAX_WAITING or of_one >= MAX_WAITING_OF_ONE
        if too_many or not self._limits.allows(initiator, now_s):
            raise OrderError(f"node '{initiator}' asks for too many sessions at once: try again in some seconds")
        challenge = secrets.token_bytes(CHALLENGE_BYTES)
        self._drawn[challenge] = _Drawn(initiator, wanted.service, now_s + HOLDS_S)
        return challenge

    def check(self, offer: SessionOffer) -> SessionRequest:
        """What the initiator asks for, if it may have it. Raises OrderError."""
        try:
            by, request = read(offer.request, SESSION_REQUEST, SessionRequest)
        except WordsError as error:
            raise self._wrong("a manager offers a session that nobody signed", str(error)) from None
        if request.initiator != by:
            raise self._wrong(f"a manager offers a session in the name of '{request.initiator}', who did not sign it")
        if request.responder != self._me:
            raise self._wrong("a manager offers a session that is meant for another node")
        self._forget_old(self._clock())
        drawn = self._drawn.pop(request.challenge, None)
        if drawn is None or (drawn.initiator, drawn.service) != (by, request.service):
            raise self._wrong(f"a session request of node '{by}' with no fresh challenge: a replay, or too late")
        _check_form(request)
        claim = Vouch(by, self._me, request.service, request.challenge)
        self._check_access(claim, offer.cluster, offer.vouch)
        return request

    def _check_access(self, claim: Vouch, cluster: str, vouch: bytes) -> None:
        service, initiator = claim.service, claim.initiator
        if vouch:
            self._check_abroad(claim, cluster, vouch)
        elif cluster and cluster not in self._managers():
            raise self._wrong(f"a manager vouches for members of '{cluster[:64]}', which is no manager of this node")
        if initiator == self._me:
            raise OrderError("a node has no session with itself")
        if why := self._access.refusal(service, initiator, cluster):
            self._troubles.note(f"node '{initiator}' was refused service '{service[:63]}': it is not on the list")
            raise OrderError(why)

    def _check_abroad(self, claim: Vouch, cluster: str, vouch: bytes) -> None:
        """The other cluster's manager says itself that the initiator is of it; ours, what is exported there."""
        try:
            by = check_vouch(vouch, claim)
        except WordsError as error:
            raise self._wrong(
                "a manager offers a session from another cluster that nobody vouches for", str(error)
            ) from None
        if by != cluster:
            raise self._wrong(f"a manager offers a session from cluster '{cluster[:64]}', vouched for by '{by}'")
        if why := self._borders.refusal(cluster, claim.service):
            raise self._wrong(why)

    def _wrong(self, what: str, why: str = "") -> OrderError:
        self._troubles.note(what)
        return OrderError(f"{what}: {why}" if why else what)

    def _forget_old(self, now_s: float) -> None:
        while self._drawn and next(iter(self._drawn.values())).until_s < now_s:
            self._drawn.popitem(last=False)


def _check_id(node_id: str) -> NodeId:
    try:
        return read_node_id(node_id)
    except IdentityError as error:
        raise OrderError(str(error)) from None


def _check_form(request: SessionRequest) -> None:
    routes = (*request.routes, *request.keeps)
    try:
        for route in routes:
            read_route_id(route)
        for text in request.direct:
            read_direct(text)
    except (IdentityError, ValueError) as error:
        raise OrderError(f"the request of node '{request.initiator}' makes no sense: {error}") from None
    too_many = len(request.routes) > MAX_ROUTES or len(routes) > 2 * MAX_ROUTES or len(request.direct) > MAX_ENDPOINTS
    if too_many or len(set(routes)) < len(routes) or not (routes or request.direct):
        raise OrderError(f"the request of node '{request.initiator}' has no routes, too many, or one twice")


def read_direct(text: str) -> None:
    """Raises ValueError for an endpoint that no other machine has."""
    address = read_endpoint(text).address
    is_ours = any(address in network for network in (LINKS, ROUTES, SESSIONS))
    if is_ours or address.is_loopback or address.is_multicast or address.is_unspecified or address.is_link_local:
        raise ValueError(f"'{text[:80]}' is no endpoint of another machine")
