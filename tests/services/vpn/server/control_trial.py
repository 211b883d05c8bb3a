"""Run in a namespace of its own, with node ids of which it has the session addresses: the control port and its enemies.
It ends with an error where the port does not stand them, else it says `stood`.
"""

from __future__ import annotations

import asyncio
import logging
import subprocess
from collections.abc import Callable
from contextlib import closing
from ipaddress import IPv6Address
from typing import Any

from services.addresses import session_address
from services.app.refusals import Refusals
from services.keys import Identity, NodeId, new_seed
from services.vpn.errors import LeaseError
from services.vpn.server.control import LINES_AT_ONCE, MAX_OF_ONE, OFTEN_S, Control, Patience
from services.vpn.words import PORT, Ended, Lease, Leased, Ping, Pong, Refused, encode, read_answer

ME, ONE, TWO, THREE = (Identity(new_seed()).node_id for _ in range(4))
ADDRESSES = {node_id: session_address(node_id) for node_id in (ME, ONE, TWO, THREE)}

CONNECTS = 40


class Leasing:
    def __init__(self) -> None:
        self.end: Callable[[NodeId, str, float | None], None]
        self.held: list[NodeId] = []
        self.most = 0

    async def lease(self, asked: Lease) -> Leased:
        if asked.id == THREE:
            raise LeaseError("not you", 7.0)
        self.held.append(asked.id)
        self.most = max(self.most, self.held.count(asked.id))
        return Leased("100.64.0.2", None, (), 1328)

    async def release(self, node_id: NodeId) -> None:
        await asyncio.sleep(0.01)
        if node_id in self.held:
            self.held.remove(node_id)


class End:
    """A client's connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    async def open(cls, by: NodeId) -> End:
        source = (str(ADDRESSES[by]), 0)
        return cls(*await asyncio.open_connection(str(ADDRESSES[ME]), PORT, local_addr=source))

    async def say(self, data: bytes) -> object:
        self.writer.write(data)
        return await self.hear()

    async def hear(self) -> object:
        """An answer, or None at the end."""
        async with asyncio.timeout(10):
            try:
                line = await self.reader.readline()
            except ConnectionResetError:
                return None
        return read_answer(line.strip()) if line else None

    def close(self) -> None:
        self.writer.transport.abort()


async def until(is_so: Callable[[], object]) -> None:
    for _ in range(1000):
        if is_so():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("waited in vain")


async def a_lease_is_a_connection(leasing: Leasing) -> None:
    with closing(await End.open(ONE)) as end:
        assert isinstance(await end.say(encode(Lease(ONE))), Leased)
        assert await end.say(encode(Ping(7))) == Pong(7)
        leasing.end(ONE, "enough", 3.0)
        assert await end.hear() == Ended("enough", 3.0)
        assert await end.hear() is None
    await until(lambda: not leasing.held)
    with closing(await End.open(ONE)) as end:
        await end.say(encode(Lease(ONE)))
    await until(lambda: not leasing.held)


async def the_latest_connection_counts(leasing: Leasing) -> None:
    ends = [await End.open(TWO) for _ in range(MAX_OF_ONE)]
    for end in ends:
        assert isinstance(await end.say(encode(Lease(TWO))), Leased)
    assert [await end.hear() for end in ends[:-1]] == [Ended("the same client has connected again")] * (MAX_OF_ONE - 1)
    assert await ends[-1].say(encode(Ping(1))) == Pong(1)
    assert (leasing.held, leasing.most) == ([TWO], 1)
    for end in ends:
        end.close()
    await until(lambda: not leasing.held)


async def nonsense_costs_its_connection(leasing: Leasing) -> None:
    wrong: dict[bytes, str] = {
        encode(Lease(TWO)): "is not the session address of",
        encode(Ping(1)): "ask for a lease first",
        b"GET / HTTP/1.1\r\n\r\n": "not understood",
        b"\xff\x00" * 100 + b"\n": "not understood",
        b"[" * 4000 + b"\n": "not understood",
        b"x" * 5000: "a line of more than",
        b"\n" * 100: "lines at once",
        b'{"do":"lease","id":"' + b"0" * 64 + b'"}\n': "not understood",
    }
    for data, why in wrong.items():
        with closing(await End.open(ONE)) as end:
            refused = await end.say(data)
            assert isinstance(refused, Refused), data
            assert why in refused.why, (data, refused)
            assert await end.hear() is None
    with closing(await End.open(THREE)) as end:
        assert await end.say(encode(Lease(THREE))) == Refused("not you", 7.0)
    assert not leasing.held


async def floods_are_closed(leasing: Leasing, refusals: Refusals) -> None:
    ends = [await End.open(ONE) for _ in range(MAX_OF_ONE + 2)]
    for end in ends[MAX_OF_ONE:]:
        assert await end.hear() == Refused(f"more than {MAX_OF_ONE} connections of one client", OFTEN_S)
        assert await end.hear() is None
        end.close()
    with closing(await End.open(TWO)) as other:
        assert isinstance(await other.say(encode(Lease(TWO))), Leased)
        for _ in range(LINES_AT_ONCE + 4):
            other.writer.write(encode(Ping(0)))
        answers = [await other.hear() for _ in range(LINES_AT_ONCE + 1)]
        assert isinstance(answers[-1], Refused), answers[-1]
    for end in ends[:MAX_OF_ONE]:
        assert isinstance(await end.hear(), Refused)
        end.close()
    assert refusals.counts["flood"] == 2
    await until(lambda: not leasing.held)


async def who_connects_too_often_is_told(refusals: Refusals) -> None:
    for _ in range(CONNECTS + 2):
        with closing(await End.open(THREE)) as end:
            if (told := await end.say(encode(Lease(THREE)))) != Refused("not you", 7.0):
                break
    assert told == Refused("it connects too often", OFTEN_S), told
    assert refusals.counts["often"] == 1


async def main() -> None:
    leasing, refusals = Leasing(), Refusals(logging.getLogger("trial"))
    control = Control(leasing, 50, refusals, Patience(hello_s=0.5, dead_s=2.0, connects=CONNECTS))
    await control.start(IPv6Address(ADDRESSES[ME]), PORT)
    await a_lease_is_a_connection(leasing)
    await the_latest_connection_counts(leasing)
    await nonsense_costs_its_connection(leasing)
    await floods_are_closed(leasing, refusals)
    await a_silent_client_is_dead(leasing)
    await who_connects_too_often_is_told(refusals)
    with closing(await End.open(TWO)) as end:
        assert isinstance(await end.say(encode(Lease(TWO))), Leased)
        closing_it: asyncio.Task[Any] = asyncio.ensure_future(control.close("the server stops", 3.0))
        assert await end.hear() == Ended("the server stops", 3.0)
        await closing_it
    assert not leasing.held
    print("stood")


async def a_silent_client_is_dead(leasing: Leasing) -> None:
    with closing(await End.open(TWO)) as end:
        assert isinstance(await end.say(encode(Lease(TWO))), Leased)
        assert await end.hear() is None
    await until(lambda: not leasing.held)


if __name__ == "__main__":
    for own in ADDRESSES.values():
        subprocess.run(["ip", "address", "add", f"{own}/128", "dev", "lo", "nodad"], check=True, timeout=10)
    asyncio.run(main())
