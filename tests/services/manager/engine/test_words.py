"""Records, orders and services as a hostile sender would like them."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.addresses import link_address, session_address
from services.keys import Identity, new_seed, wireguard_text
from services.manager.errors import OlderError, WordsError
from services.manager.model import Label, Service
from services.manager.offer import SERVICE, read_service
from services.manager.record import PURPOSE, NodeRecord, make_record, read_record, sign_record
from services.manager.server_config import FILE_STORE, MEMORY_STORE
from services.manager.signed import decode, read_order, sign, sign_order
from services.manager.store import LEDGER_BYTES, SHAPES
from services.manager.subjects import inbox, is_own_inbox, sender, up

ME, OTHER, MANAGER = (Identity(new_seed()) for _ in range(3))
RECORD = make_record(ME, 5, ("192.0.2.1:51820",), "1.0", relays=True)


def changed(**fields: object) -> bytes:
    """Signed truly, with something false in it."""
    return sign(ME, PURPOSE, msgspec.structs.replace(RECORD, **fields))


def test_a_record_is_what_its_node_said() -> None:
    assert read_record(sign_record(ME, RECORD)) == RECORD


@pytest.mark.parametrize(
    "fields",
    [
        {"node_id": OTHER.node_id},
        {"link_address": str(link_address(OTHER.link_key))},
        {"session_address": str(session_address(OTHER.node_id))},
        {"link_key": wireguard_text(OTHER.link_key)},
        {"link_key": wireguard_text(bytes(32))},
        {"link_address": "192.0.2.1"},
        {"link_address": "fd4c::1%eth0"},
        {"sequence": 0},
        {"sequence": -1},
        {"endpoints": ("192.0.2.1:1",) * 17},
        {"version": "1" * 81},
    ],
)
def test_a_false_record_is_refused_though_signed(fields: dict[str, object]) -> None:
    with pytest.raises(WordsError):
        read_record(changed(**fields))


def test_forged_older_and_foreign_records_are_refused() -> None:
    good = sign_record(ME, RECORD)
    forged = msgspec.json.encode(msgspec.json.decode(good) | {"by": OTHER.node_id})
    with pytest.raises(WordsError, match="not by node"):
        read_record(forged)
    with pytest.raises(WordsError, match="not by node"):
        read_record(sign(ME, "skywire order", RECORD))
    newer = make_record(ME, 6, (), "1.0")
    assert read_record(sign_record(ME, newer), RECORD) == newer
    assert read_record(good, RECORD) == RECORD, "nodes say the same again"
    with pytest.raises(OlderError, match="record 5, and 6"):
        read_record(good, newer)
    with pytest.raises(OlderError, match="record 5, and 5"):
        read_record(changed(version="other"), RECORD)
    with pytest.raises(WordsError, match="in the place of"):
        read_record(sign_record(OTHER, make_record(OTHER, 9, (), "1")), RECORD)


@given(st.binary(max_size=200))
def test_noise_is_no_record(noise: bytes) -> None:
    with pytest.raises(WordsError):
        read_record(noise)


def test_an_order_holds_for_one_node_once_and_by_a_manager() -> None:
    label = Label("0123456789abcdef01234567", None, OTHER.node_id, 1340)
    order = sign_order(MANAGER, ME.node_id, 8, "label", label)
    read = read_order(order, ME.node_id, {MANAGER.node_id}, 7)
    assert decode(read.body, Label, "label") == label
    with pytest.raises(OlderError, match="revision 8, and 8"):
        read_order(order, ME.node_id, {MANAGER.node_id}, 8)
    with pytest.raises(WordsError, match="not for this one"):
        read_order(order, OTHER.node_id, {MANAGER.node_id}, 7)
    with pytest.raises(WordsError, match="no manager"):
        read_order(order, ME.node_id, {OTHER.node_id}, 7)
    for unsigned in (msgspec.json.encode(label), b"", order[:-1], order.replace(b'"text":"e', b'"text":"f')):
        with pytest.raises(WordsError):
            read_order(unsigned, ME.node_id, {MANAGER.node_id}, 7)


def test_a_service_is_its_node_s_own() -> None:
    socks = Service(ME.node_id, "socks", 1080, 1)
    assert read_service(sign(ME, SERVICE, socks)) == socks
    for wrong in (
        {"node_id": OTHER.node_id},
        {"port": 0},
        {"port": 65536},
        {"name": "a.b"},
        {"name": ""},
        {"name": ">"},
    ):
        with pytest.raises(WordsError):
            read_service(sign(ME, SERVICE, msgspec.structs.replace(socks, **wrong)))


@pytest.mark.parametrize("tail", ["", "*", ">", "a b", "a.*", "a\r\nPUB x"])
def test_inboxes_that_are_not_the_asker_s(tail: str) -> None:
    me = ME.node_id
    assert is_own_inbox(me, f"{inbox(me)}.x.y")
    for reply in (f"down.{me}.x", f"{inbox(OTHER.node_id)}.x", inbox(me), f"x{inbox(me)}.x"):
        assert not is_own_inbox(me, reply)
    assert is_own_inbox(me, f"{inbox(me)}.{tail}") is False
    assert sender(up(me, "ask")) == (me, "ask")
    assert sender(f"up.{me}.ask.more") is None


def test_a_restart_of_the_server_finds_room_for_every_stream_again() -> None:
    for in_memory, room, more in ((True, MEMORY_STORE, 2 << 20), (False, FILE_STORE, LEDGER_BYTES + (1 << 20))):
        sizes = [shape.max_bytes for shape in SHAPES.values() if shape.in_memory is in_memory]
        assert sum(sizes) + more + max(*sizes, more) <= room


def test_records_are_words() -> None:
    assert isinstance(msgspec.json.decode(msgspec.json.encode(RECORD), type=NodeRecord), NodeRecord)
