"""Who may join and how often one may try: invitations, names, pairing, open networks, and limits."""

import pytest

from services.keys import Identity, NodeId, new_seed
from services.manager.errors import JoinError
from services.manager.invites import (
    MAX_CONNECTIONS,
    TRIES_AT_ONCE,
    Doorkeeper,
    Rules,
    check_allowed,
    invitation_id,
    new_invitation,
    spend,
)
from services.manager.limits import Limits

NODE = NodeId(Identity(new_seed()).node_id)


def test_an_invitation_is_spent_use_by_use_and_runs_out() -> None:
    token, kept = new_invitation(1000, 60, 2)
    assert invitation_id(token) == kept.id
    assert token.split(".")[1] not in repr(kept)
    once = spend(kept, token, 1059)
    assert spend(once, token, 1059).uses_left == 0
    with pytest.raises(JoinError, match="used up"):
        spend(spend(once, token, 1059), token, 1059)
    with pytest.raises(JoinError, match="run out"):
        spend(kept, token, 1060)


@pytest.mark.parametrize("change", ["", "x", "{id}.", "{id}.AAAAAAAAAAAAAAAAAAAAAA", "0000000000000000.{secret}"])
def test_a_wrong_token_spends_nothing(change: str) -> None:
    token, kept = new_invitation(1000, 60, 2)
    name, secret = token.split(".")
    with pytest.raises(JoinError, match="not known"):
        spend(kept, change.format(id=name, secret=secret), 1000)
    with pytest.raises(JoinError, match="not known"):
        spend(None, token, 1000)


@pytest.mark.parametrize(
    ("rules", "token", "expelled", "spends"),
    [
        (Rules(), "token", (), True),
        (Rules(open_to_all=True), "", (), False),
        (Rules(open_to_all=True), "token", (), False),
        (Rules(open_to_all=True), "token", (NODE,), True),
        (Rules(allowed=frozenset({NODE})), "", (NODE,), False),
        (Rules(pairing_until_s=100.1), "", (), False),
    ],
)
def test_ways_in(rules: Rules, token: str, expelled: tuple[NodeId, ...], spends: bool) -> None:
    assert check_allowed(NODE, token, rules, expelled, 100.0) is spends


@pytest.mark.parametrize(
    ("rules", "expelled", "why"),
    [
        (Rules(), (), "by invitation"),
        (Rules(pairing_until_s=100.0), (), "by invitation"),
        (Rules(allowed=frozenset({NodeId("0" * 64)})), (), "by invitation"),
        (Rules(open_to_all=True), (NODE,), "expelled"),
        (Rules(pairing_until_s=200.0), (NODE,), "expelled"),
    ],
)
def test_no_way_in(rules: Rules, expelled: tuple[NodeId, ...], why: str) -> None:
    with pytest.raises(JoinError, match=why):
        check_allowed(NODE, "", rules, expelled, 100.0)


def test_one_address_tries_so_often_and_so_many_stand_at_the_door() -> None:
    door = Doorkeeper()
    assert sum(door.enter("192.0.2.1", 0.0) for _ in range(100)) == TRIES_AT_ONCE
    assert door.enter("192.0.2.2", 0.0)
    assert not door.enter("192.0.2.1", 0.9)
    assert door.enter("192.0.2.1", 1.1)
    door = Doorkeeper()
    assert sum(door.enter(f"192.0.2.{last}", 0.0) for last in range(200)) == MAX_CONNECTIONS
    door.leave()
    assert door.enter("198.51.100.1", 10.0)


def test_limits_forget_the_longest_unheard() -> None:
    limits = Limits(1.0, 1, most=2)
    assert [limits.allows(name, 0.0) for name in ("a", "b", "a", "c", "b", "a")] == [
        True,
        True,
        False,
        True,
        True,
        True,
    ]
