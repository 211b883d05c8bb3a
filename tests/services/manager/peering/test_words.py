"""What peers say to each other, and what an operator gives: sound words pass, all else is refused with a reason."""

import contextlib

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.addresses import new_route_id
from services.keys import Identity, NodeId, new_seed
from services.manager.asks import CHALLENGE_BYTES, SESSION_REQUEST, SessionRequest
from services.manager.errors import WordsError
from services.manager.model import Service
from services.manager.offer import SERVICE
from services.manager.peering import words as said
from services.manager.peering.model import Exports, Import, make_exports
from services.manager.routes.errors import PolicyError
from services.manager.signed import sign

A, B, MANAGER = (Identity(new_seed()) for _ in range(3))
ROUTES = (new_route_id().hex(), new_route_id().hex())
HALF = said.Half(A.node_id, B.node_id, "web", ROUTES)


def test_every_ask_and_answer_is_read_as_it_was_meant() -> None:
    service = sign(B, SERVICE, Service(B.node_id, "web", 80, 1))
    asks = (
        said.Say((Import(service, "depot"),), ROUTES, b"record"),
        HALF,
        said.Lay(b"x"),
        said.Drop(ROUTES),
        said.Bye(),
    )
    for ask in asks:
        assert said.read_ask(msgspec.json.encode(ask)) == ask
    way = said.Way((MANAGER.node_id, B.node_id), 1420, 0.001)
    for answer in (
        said.Heard(ROUTES),
        said.Found(bytes(CHALLENGE_BYTES), (way,), 51821),
        said.Refused("no", again=True),
    ):
        assert said.read_answer(msgspec.json.encode(answer)) == answer


@pytest.mark.parametrize(
    "ask",
    [
        msgspec.structs.replace(HALF, routes=(ROUTES[0], ROUTES[0])),
        msgspec.structs.replace(HALF, routes=()),
        msgspec.structs.replace(HALF, routes=(*ROUTES, "third")),
        said.Drop(("r",) * (said.MAX_CROSSING + 1)),
        said.Say((), ("r",) * (said.MAX_CROSSING + 1), b""),
    ],
)
def test_lists_that_are_too_long_or_name_something_twice(ask: said.Ask) -> None:
    with pytest.raises(WordsError, match="too long, or something twice"):
        said.read_ask(msgspec.json.encode(ask))


@pytest.mark.parametrize("found", [said.Found(b"short", (), 1), said.Found(bytes(32), (said.Way((), 1420, 0),) * 3, 1)])
def test_a_false_answer(found: said.Found) -> None:
    with pytest.raises(WordsError, match="no challenge, or too many"):
        said.read_answer(msgspec.json.encode(found))


json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda children: st.lists(children) | st.dictionaries(st.text(), children),
    max_leaves=12,
)
KINDS = st.sampled_from(["say", "half", "lay", "drop", "bye", "heard", "found", "done", "refused", ""])
FIELDS = st.sampled_from(["ask", "is", "routes", "services", "initiator", "responder", "halves", "challenge", "policy"])


@given(st.binary() | st.builds(msgspec.json.encode, json))
def test_fuzz_bytes(data: bytes) -> None:
    for read in (said.read_ask, said.read_answer):
        with pytest.raises(WordsError):
            read(data)


@given(KINDS, st.dictionaries(FIELDS, json))
def test_fuzz_fields(kind: str, fields: dict[str, object]) -> None:
    for tag, read in (("ask", said.read_ask), ("is", said.read_answer)):
        with contextlib.suppress(WordsError, PolicyError):
            read(msgspec.json.encode({**fields, tag: kind}))


def test_a_vouch_holds_for_one_wish_alone() -> None:
    request = SessionRequest(A.node_id, B.node_id, "web", ROUTES, bytes(CHALLENGE_BYTES))
    wanted = said.Vouch(A.node_id, B.node_id, "web", bytes(CHALLENGE_BYTES))
    vouch = said.vouch_for(MANAGER, request)
    assert said.check_vouch(vouch, wanted) == MANAGER.node_id
    others = {"initiator": B.node_id, "responder": A.node_id, "service": "vpn", "challenge": bytes(31) + b"x"}
    for name, value in others.items():
        with pytest.raises(WordsError, match="something else"):
            said.check_vouch(vouch, msgspec.structs.replace(wanted, **{name: value}))
    with pytest.raises(WordsError, match="something else"):
        said.check_vouch(said.vouch_for(MANAGER, HALF), wanted)  # one for a challenge opens nothing
    with pytest.raises(WordsError):
        said.check_vouch(sign(MANAGER, SESSION_REQUEST, wanted), wanted)
    changed = bytearray(vouch)
    changed[len(changed) // 2] ^= 1
    with pytest.raises(WordsError):
        said.check_vouch(bytes(changed), wanted)


# exports


def find(text: str) -> NodeId:
    if text != "depot":
        raise WordsError(f"no node '{text}'")
    return B.node_id


def test_nothing_is_exported_that_nobody_named() -> None:
    assert not Exports().allows("web", B.node_id)
    exports = make_exports(("web", "vpn@depot"), find, relays=False)
    assert exports.of(B.node_id) == ("web", "vpn")
    assert exports.of(A.node_id) == ("web",)
    assert exports.allows("vpn", B.node_id)
    assert not exports.allows("vpn", A.node_id)
    assert not exports.allows("vp", B.node_id)


@pytest.mark.parametrize(
    ("text", "why"),
    [("", "is no name"), ("a b", "is no name"), ("web@kitchen", "no node 'kitchen'"), ("x" * 64, "is no name")],
)
def test_exports_that_make_no_sense(text: str, why: str) -> None:
    with pytest.raises(WordsError, match=why):
        make_exports((text,), find, relays=False)


def test_too_many_exports() -> None:
    with pytest.raises(WordsError, match="65 exports: at most 64"):
        make_exports((f"s{number}" for number in range(65)), find, relays=False)


def test_what_is_said_fits_a_line() -> None:
    """The most routes, and more services with long lists than there is room for."""
    open_to = tuple(f"cluster:{Identity(new_seed()).node_id}" for _ in range(64))
    signed = sign(B, SERVICE, Service(B.node_id, "x" * 63, 65535, 1 << 62, open_to))
    services = said.fitting(Import(signed, "depot") for _ in range(1000))
    assert 20 < len(services) < said.MAX_SERVICES
    line = msgspec.json.encode(said.Say(services, (ROUTES[0],) * said.MAX_CROSSING, bytes(2048)))
    assert len(line) <= said.MAX_LINE
    assert len(said.fitting(Import(b"short") for _ in range(1000))) == said.MAX_SERVICES


@given(st.text(max_size=80))
def test_fuzz_exports(text: str) -> None:
    try:
        exports = make_exports((text,), find, relays=True)
    except WordsError:
        return
    assert exports.of(B.node_id)
