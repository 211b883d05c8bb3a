"""The request at another cluster's join port, both ends in memory: who it is from, and all that must not pass."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.keys import Identity, new_seed, seal
from services.manager.admission import Kind, Knocking, ManagerEnd, NodeEnd, frame
from services.manager.errors import JoinError
from services.manager.peering import knock
from services.manager.peering.knock import Heard, KnockingEnd, answer_knock, open_knock
from services.manager.record import make_record, sign_record
from services.manager.signed import sign

ASKER, ASKED, OTHER = (Identity(new_seed()) for _ in range(3))


def record(of: Identity) -> bytes:
    return sign_record(of, make_record(of, 1, ("192.0.2.1:51820",), "1"))


def asker(**more: object) -> KnockingEnd:
    words = {"manager": ASKED.node_id, "wants": "peer", "record": record(ASKER), "at": "192.0.2.1:7997", **more}
    return KnockingEnd(ASKER, **words)  # type: ignore[arg-type]


def knocked(end: KnockingEnd, door: ManagerEnd) -> Knocking:
    challenge, _ = door.feed(end.begin())
    request, _ = end.feed(challenge)
    _, found = door.feed(request)
    assert isinstance(found, Knocking)
    return found


def test_who_knocks_is_known_and_hears_the_answer() -> None:
    end, door = asker(), ManagerEnd(ASKED)
    by, words = open_knock(ASKED, found := knocked(end, door))
    assert (by, words.wants, words.at, words.record) == (ASKER.node_id, "peer", "192.0.2.1:7997", record(ASKER))
    heard = Heard(by, found.challenge, "peered", record(ASKED), "192.0.2.1:5000")
    send, answer = end.feed(answer_knock(ASKED, by, heard))
    assert (send, answer) == (b"", heard)
    assert ASKER.node_id.encode() not in found.body, "who listens does not learn who asks"


def test_a_replayed_knock() -> None:
    found = knocked(asker(), ManagerEnd(ASKED))
    with pytest.raises(JoinError, match="another challenge"):
        open_knock(ASKED, Knocking(found.body, bytes(32)))


def test_a_knock_for_somebody_else() -> None:
    end, door = asker(manager=OTHER.node_id), ManagerEnd(ASKED)
    challenge, _ = door.feed(end.begin())
    with pytest.raises(JoinError, match="wrong address"):
        end.feed(challenge)
    found = knocked(asker(), ManagerEnd(ASKED))
    with pytest.raises(JoinError, match="not sound"):
        open_knock(OTHER, found)


@pytest.mark.parametrize("more", [{"record": record(OTHER)}, {"at": "x" * 201 + ":1"}])
def test_a_knock_that_is_false(more: dict[str, object]) -> None:
    with pytest.raises(JoinError, match="record of another, or none"):
        open_knock(ASKED, knocked(asker(**more), ManagerEnd(ASKED)))


@pytest.mark.parametrize("more", [{"record": b"{}"}, {"at": "no place"}, {"wants": "more"}])
def test_a_knock_that_is_not_sound(more: dict[str, object]) -> None:
    with pytest.raises(JoinError, match="not sound"):
        open_knock(ASKED, knocked(asker(**more), ManagerEnd(ASKED)))


def test_a_join_is_no_knock() -> None:
    """Signed for another purpose."""
    node, door = NodeEnd(ASKER, record(ASKER)), ManagerEnd(ASKED)
    challenge, _ = door.feed(node.begin())
    request, _ = node.feed(challenge)
    with pytest.raises(JoinError, match="not sound"):
        open_knock(ASKED, Knocking(request[5:], bytes(32)))


def test_an_answer_by_another_or_for_another() -> None:
    for by, words in (
        (OTHER, {}),
        (ASKED, {"manager": OTHER.node_id}),
        (ASKED, {"challenge": bytes(32)}),
        (ASKED, {"record": record(OTHER)}),
    ):
        end, door = asker(), ManagerEnd(ASKED)
        found = knocked(end, door)
        said = {"manager": ASKER.node_id, "challenge": found.challenge, "stage": "asked", **words}
        with pytest.raises(JoinError):
            end.feed(answer_knock(by, ASKER.node_id, Heard(**said)))  # type: ignore[arg-type]


def test_an_answer_signed_for_another_purpose() -> None:
    end, door = asker(), ManagerEnd(ASKED)
    heard = Heard(ASKER.node_id, knocked(end, door).challenge, "asked")
    with pytest.raises(JoinError, match="not sound"):
        end.feed(frame(Kind.HEARD, seal(ASKER.node_id, sign(ASKED, knock.KNOCK, heard))))


def test_a_refusal_comes_harmlessly() -> None:
    end, door = asker(), ManagerEnd(ASKED)
    knocked(end, door)
    with pytest.raises(JoinError, match=r"they refuse: 'no\\x1b\[2J'"):
        end.feed(door.refuse("no\x1b[2J"))


@given(st.binary(max_size=200))
def test_fuzz(data: bytes) -> None:
    with pytest.raises(JoinError):
        open_knock(ASKED, Knocking(data, bytes(32)))
    end = asker()
    try:
        assert end.feed(data)[1] is None
    except JoinError:
        return
