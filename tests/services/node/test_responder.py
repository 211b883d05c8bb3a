"""Who gets a session, asked with real signatures: what initiators, managers and those between them may try."""

from __future__ import annotations

import contextlib
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.addresses import new_route_id
from services.keys import Identity, NodeId, new_seed
from services.manager.asks import SESSION_REQUEST, ChallengeWanted, SessionOffer, SessionRequest
from services.manager.signed import sign
from services.node.errors import OrderError
from services.node.responder import BURST, HOLDS_S, MAX_WAITING_OF_ONE, Responder
from services.node.troubles import Troubles

ME, FRIEND, STRANGER, MANAGER, FAR = (Identity(new_seed()) for _ in range(5))


class List:
    """Open to one node, and to a cluster."""

    def refusal(self, service: str, node_id: NodeId, cluster: str) -> str:
        allowed = service == "web" and (node_id == FRIEND.node_id or cluster == MANAGER.node_id)
        return "" if allowed else f"service '{service}' is not open to node '{node_id}'"


class Abroad:
    """One cluster is peered, and may use one service."""

    def refusal(self, cluster: str, service: str) -> str:
        return "" if (cluster, service) == (FAR.node_id, "web") else "not peered, or not exported"


ABROAD = Abroad()


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def troubles() -> Troubles:
    return Troubles()


@pytest.fixture
def responder(clock: Clock, troubles: Troubles) -> Responder:
    return Responder(ME.node_id, List(), ABROAD, lambda: (MANAGER.node_id,), troubles, clock)


def request(by: Identity, challenge: bytes, **more: object) -> SessionRequest:
    words = {"service": "web", "routes": (new_route_id().hex(),), **more}
    return SessionRequest(
        initiator=more.pop("initiator", by.node_id),  # type: ignore[arg-type]
        responder=more.pop("responder", ME.node_id),  # type: ignore[arg-type]
        challenge=challenge,
        **{key: words[key] for key in words if key in {"service", "routes", "direct", "keeps"}},  # type: ignore[arg-type]
    )


def offer(by: Identity, challenge: bytes, cluster: str = "", **more: object) -> SessionOffer:
    return SessionOffer(sign(by, SESSION_REQUEST, request(by, challenge, **more)), cluster)


def draw(responder: Responder, who: Identity = FRIEND) -> bytes:
    return responder.draw(ChallengeWanted(who.node_id, "web"))


def test_who_is_on_the_list_is_taken(responder: Responder, troubles: Troubles) -> None:
    found = responder.check(offer(FRIEND, draw(responder)))
    assert (found.initiator, found.service) == (FRIEND.node_id, "web")
    assert troubles.list() == ()


def test_who_is_not_gets_no_challenge_and_is_told(responder: Responder, troubles: Troubles) -> None:
    with pytest.raises(OrderError, match="not open to node"):
        draw(responder, STRANGER)
    assert STRANGER.node_id in troubles.list()[0].what


def test_a_member_of_the_cluster_is_taken(responder: Responder) -> None:
    wanted = ChallengeWanted(STRANGER.node_id, "web", MANAGER.node_id)
    assert responder.check(offer(STRANGER, responder.draw(wanted), MANAGER.node_id)).initiator == STRANGER.node_id


def test_a_manager_vouches_for_its_own_cluster_alone(responder: Responder, troubles: Troubles) -> None:
    with pytest.raises(OrderError, match="no manager of this node"):
        responder.draw(ChallengeWanted(STRANGER.node_id, "web", STRANGER.node_id))
    assert "vouches" in troubles.list()[0].what


def test_a_manager_cannot_inject_a_peer(responder: Responder, troubles: Troubles) -> None:
    """It signs itself, in the name of somebody who is on the list, and with a challenge that it was given."""
    challenge = draw(responder)
    forged = offer(MANAGER, challenge, initiator=FRIEND.node_id)
    with pytest.raises(OrderError, match="did not sign it"):
        responder.check(forged)
    assert FRIEND.node_id in troubles.list()[0].what
    assert responder.check(offer(FRIEND, challenge)).initiator == FRIEND.node_id


def test_a_changed_request_is_refused(responder: Responder, troubles: Troubles) -> None:
    good = offer(FRIEND, draw(responder)).request
    words = msgspec.json.decode(good)
    words["text"] = msgspec.json.decode(sign(MANAGER, SESSION_REQUEST, request(FRIEND, b"x" * 32)))["text"]
    with pytest.raises(OrderError, match="nobody signed"):
        responder.check(SessionOffer(msgspec.json.encode(words)))
    assert troubles.list()[0].count == 1


def test_a_signature_for_another_purpose_is_none(responder: Responder) -> None:
    words = request(FRIEND, draw(responder))
    with pytest.raises(OrderError, match="nobody signed"):
        responder.check(SessionOffer(sign(FRIEND, "skywire service", words)))


def test_a_request_for_another_node_is_refused(responder: Responder) -> None:
    with pytest.raises(OrderError, match="another node"):
        responder.check(offer(FRIEND, draw(responder), responder=STRANGER.node_id))


def test_a_challenge_holds_once(responder: Responder, troubles: Troubles) -> None:
    first = offer(FRIEND, draw(responder))
    responder.check(first)
    for _ in range(3):
        with pytest.raises(OrderError, match="a replay, or too late"):
            responder.check(first)
    assert troubles.list()[0].count == 3


def test_a_challenge_holds_for_seconds(responder: Responder, clock: Clock) -> None:
    good = offer(FRIEND, draw(responder))
    clock.now_s += HOLDS_S + 0.1
    with pytest.raises(OrderError, match="too late"):
        responder.check(good)


def test_a_challenge_holds_for_whom_it_was_drawn(responder: Responder) -> None:
    wanted = ChallengeWanted(STRANGER.node_id, "web", MANAGER.node_id)
    with pytest.raises(OrderError, match="no fresh challenge"):
        responder.check(offer(FRIEND, responder.draw(wanted)))


def test_an_invented_challenge_is_refused(responder: Responder) -> None:
    with pytest.raises(OrderError, match="no fresh challenge"):
        responder.check(offer(FRIEND, bytes(32)))


def test_a_list_that_changed_meanwhile_counts(responder: Responder) -> None:
    """Drawn as a member of the cluster, offered as nobody."""
    challenge = responder.draw(ChallengeWanted(STRANGER.node_id, "web", MANAGER.node_id))
    with pytest.raises(OrderError, match="not open"):
        responder.check(offer(STRANGER, challenge))


def test_one_initiator_has_few_challenges_at_once(responder: Responder, clock: Clock) -> None:
    for _ in range(MAX_WAITING_OF_ONE):
        draw(responder)
    with pytest.raises(OrderError, match="too many"):
        draw(responder)
    responder.draw(ChallengeWanted(STRANGER.node_id, "web", MANAGER.node_id))
    clock.now_s += HOLDS_S + 0.1
    draw(responder)


def test_one_initiator_cannot_flood(responder: Responder, clock: Clock) -> None:
    drawn = 0
    for _ in range(10 * BURST):
        clock.now_s += 0.01
        with contextlib.suppress(OrderError):
            responder.check(offer(FRIEND, draw(responder)))
            drawn += 1
    assert BURST <= drawn < 2 * BURST


@pytest.mark.parametrize(
    "more",
    [
        {"routes": ()},
        {"routes": ("12",)},
        {"routes": tuple(f"{place:024x}" for place in range(3))},
        {"routes": ("00" * 12,) * 2},
        {"routes": ("00" * 12,), "keeps": ("00" * 12,)},
        {"direct": ("127.0.0.1:51821",)},
        {"direct": ("[fd52::1]:51821",)},
        {"direct": ("[fd53::1]:51821",)},
        {"direct": ("[ff02::1]:51821",)},
        {"direct": ("0.0.0.0:51821",)},
        {"direct": ("192.0.2.1",)},
        {"direct": ("192.0.2.1:51821",) * 17},
    ],
    ids=str,
)
def test_a_request_without_sense_is_refused(responder: Responder, more: dict[str, Any]) -> None:
    with pytest.raises(OrderError, match=r"makes no sense|no routes, too many"):
        responder.check(offer(FRIEND, draw(responder), **more))


@given(st.binary(max_size=400))
def test_any_bytes_are_refused(data: bytes) -> None:
    responder = Responder(ME.node_id, List(), ABROAD, lambda: (MANAGER.node_id,), Troubles(), Clock())
    with pytest.raises(OrderError):
        responder.check(SessionOffer(data))


def test_what_is_no_node_gets_no_challenge(responder: Responder) -> None:
    with pytest.raises(OrderError, match="not a node id"):
        responder.draw(ChallengeWanted(NodeId("x" * 64), "web"))


def test_troubles_are_bounded_and_counted() -> None:
    troubles = Troubles()
    for number in range(1000):
        troubles.note(f"kind {number}")
    for _ in range(5):
        troubles.note("kind 998")
    assert len(troubles.list()) == 64
    assert (troubles.list()[0].what, troubles.list()[0].count) == ("kind 998", 6)
