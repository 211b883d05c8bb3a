"""The join port from the node's side: a real manager's end of the protocol behind a real socket."""

from __future__ import annotations

import asyncio
import tomllib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from services.addresses import session_address
from services.keys import Identity, new_seed
from services.manager.admission import Admitted, ManagerEnd
from services.manager.errors import JoinError
from services.manager.record import make_record, sign_record
from services.node.admission import read_admission, token_life_s
from services.node.config import Config, ManagerAt, Place
from services.node.errors import AwayError, RefusedError
from services.node.join import join
from services.node.kept import Kept
from services.node.manager_addresses import ManagerAddresses
from services.node.own_record import HIGHEST, OwnRecord
from tests.services.kernel.hosts import ROOT

ME, MANAGER, STRANGER = (Identity(new_seed()) for _ in range(3))
RECORD = sign_record(ME, make_record(ME, 1, (), "1"))
URL = f"nats://[{session_address(MANAGER.node_id)}]:4222"
MANAGERS_RECORD = sign_record(MANAGER, make_record(MANAGER, 1, ("203.0.113.1:51820",), "1"))


async def find(host: str) -> list[str]:
    return [host]


Decide = Callable[[ManagerEnd], bytes]


def admits(end: ManagerEnd) -> bytes:
    return end.admit("token", (URL,), (MANAGER.node_id,), (MANAGERS_RECORD,))


@asynccontextmanager
async def door(decide: Decide) -> AsyncIterator[str]:
    served = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        end, asked = ManagerEnd(MANAGER), None
        try:
            while asked is None and (data := await reader.read(4096)):
                send, asked = end.feed(data)
                writer.write(send)
            if asked is not None:
                writer.write(decide(end))
        except JoinError as error:
            writer.write(end.refuse(str(error)))
        writer.close()
        await writer.wait_closed()
        served.set()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with asyncio.timeout(10):
            await served.wait()


def joins(decide: Decide, manager: Identity | None = MANAGER) -> Admitted:
    async def main() -> Admitted:
        async with door(decide) as place:
            at = ManagerAt(Place.read_setting(place), manager.node_id if manager is not None else None)
            (joined,) = await asyncio.gather(join(ME, RECORD, at, find), return_exceptions=True)
        if isinstance(joined, BaseException):
            raise joined
        assert joined.manager == MANAGER.node_id
        assert str(joined.address) == "127.0.0.1"
        return joined.admitted

    return asyncio.run(main())


@pytest.mark.parametrize("manager", [MANAGER, None])
def test_a_node_is_admitted(manager: Identity | None) -> None:
    assert joins(admits, manager).bus_token == "token"


def test_another_manager_than_that_of_the_configuration_is_refused() -> None:
    with pytest.raises(RefusedError, match="wrong address"):
        joins(admits, STRANGER)


def test_a_refusal_comes_with_its_reason() -> None:
    with pytest.raises(RefusedError, match="this network is not open"):
        joins(lambda end: end.refuse("this network is not open"))


def test_who_admits_must_be_a_manager_itself() -> None:
    with pytest.raises(RefusedError, match="none of the managers"):
        joins(lambda end: end.admit("token", (URL,), (STRANGER.node_id,), ()))


def test_silence_and_closed_doors_are_told() -> None:
    with pytest.raises(AwayError, match="closed the connection"):
        joins(lambda _: b"")
    nowhere = ManagerAt(Place.read_setting("127.0.0.1:1"))
    with pytest.raises(AwayError, match="Connection refused"):
        asyncio.run(join(ME, RECORD, nowhere, find))


def test_a_name_that_does_not_resolve_leads_where_it_last_led(tmp_path: Path) -> None:
    """Over a restart, and as long as it is so."""
    gone = "manager.invalid"

    async def found(host: str) -> list[str]:
        return await ManagerAddresses(Kept(tmp_path)).find(host)

    with pytest.raises(AwayError, match=r"name of manager 'manager\.invalid' is not known"):
        asyncio.run(found(gone))
    assert "127.0.0.1" in asyncio.run(found("localhost"))
    (kept,) = tmp_path.iterdir()
    kept.write_text(kept.read_text().replace("localhost", gone))
    assert "127.0.0.1" in asyncio.run(found(gone))
    assert asyncio.run(found("203.0.113.9")) == ["203.0.113.9"]
    written = kept.stat().st_mtime_ns
    asyncio.run(found(gone))
    assert kept.stat().st_mtime_ns == written


# what an admission says


def admitted(**changes: object) -> Admitted:
    words: dict[str, object] = {
        "node_id": ME.node_id,
        "challenge": b"",
        "bus_token": "token",
        "bus_urls": (URL,),
        "managers": (MANAGER.node_id,),
        "records": (MANAGERS_RECORD,),
    }
    return Admitted(**{**words, **changes})  # type: ignore[arg-type]


def test_a_bus_elsewhere_than_at_a_manager_is_refused() -> None:
    assert read_admission(admitted(), {}, ()).places == {MANAGER.node_id: "203.0.113.1"}
    for url in ("nats://203.0.113.1:4222", f"nats://[{session_address(STRANGER.node_id)}]:4222", "nats://"):
        with pytest.raises(RefusedError, match="not at a session address"):
            read_admission(admitted(bus_urls=(url,)), {}, ())


def test_a_managers_false_record_is_refused() -> None:
    false = MANAGERS_RECORD.replace(MANAGER.node_id.encode(), STRANGER.node_id.encode())
    with pytest.raises(RefusedError, match="false record"):
        read_admission(admitted(records=(false,)), {}, ())


def test_how_long_a_token_lasts() -> None:
    assert token_life_s("e30.eyJpYXQiOjEwMCwiZXhwIjo3MDB9.sig") == 600
    assert token_life_s("e30.eyJpYXQiOjEwMH0.sig") is None
    for text in ("", "a.b.c", "e30.e30.sig"):
        assert token_life_s(text) is None


# this node's own record


def test_the_records_sequence_rises_with_each_change_and_outlives_the_process(tmp_path: Path) -> None:
    card = Kept(tmp_path, durable=True)
    own = OwnRecord(ME, Config(), card)
    first = own.record.sequence
    assert own.refresh([]) is False
    assert OwnRecord(ME, Config(relays=True), card).refresh([]) is True
    again = OwnRecord(ME, Config(relays=True), card)
    assert again.refresh([]) is False
    assert again.record.sequence == first + 1
    assert not again.outrun("this network is not open")
    assert again.outrun(f"sent record 1, and {first + 70} is known (a replay)")
    assert OwnRecord(ME, Config(relays=True), card).record.sequence == first + 71
    assert again.outrun(f"sent record 1, and {'9' * 18} is known")
    assert again.record.sequence == HIGHEST + 1
    assert again.record.version == tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert OwnRecord(STRANGER, Config(), card).record.node_id == STRANGER.node_id
