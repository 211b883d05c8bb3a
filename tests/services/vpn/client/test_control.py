"""The control connection against servers that answer well, badly, late, and not at all."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable

import pytest

from services.vpn.client import control as control_module
from services.vpn.client.client import lent_of
from services.vpn.client.control import Control
from services.vpn.errors import TunnelError
from services.vpn.words import Ended, Leased, Pong, Refused, encode, read_request
from tests.services.vpn.client.people import IDENTITIES

LEASED = Leased("100.64.0.7", "fd54::7", ("100.64.0.1",), 1328)
Work = Callable[[Control], Awaitable[object]]


async def with_server(*answers: bytes, work: Work) -> object:
    """A server that gives one answer to each line, and then closes."""
    asked: list[object] = []
    ended = asyncio.Event()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for answer in answers:
            asked.append(read_request(await reader.readline()))
            writer.write(answer)
            await writer.drain()
        writer.close()
        ended.set()

    server = await asyncio.start_server(talk, "::1", 0)
    async with server, Control("::1", server.sockets[0].getsockname()[1]) as control:
        try:
            return await work(control)
        finally:
            await ended.wait()


def lease(control: Control) -> Awaitable[Leased]:
    return control.lease(IDENTITIES[0].node_id, ["100.64.0.0/10"])


async def lease_and_hold(control: Control) -> None:
    await lease(control)
    await control.hold()


def run(*answers: bytes, work: Work = lease) -> object:
    return asyncio.run(with_server(*answers, work=work))


def test_a_lease() -> None:
    assert run(encode(LEASED)) == LEASED


@pytest.mark.parametrize(
    ("answers", "says"),
    [
        ([encode(Refused("your quota is used up", 60.0))], "the server refuses: your quota is used up"),
        ([encode(Refused("no\nkill switch is off"))], r"the server refuses: no\nkill switch is off"),
        ([encode(Pong(1))], "answers 'Pong' instead of a lease"),
        ([b"\xff\n"], "said what it should not"),
        ([b"x" * 5000], "said what it should not"),
        ([b'{"is":"leased","ipv4":"1.2.3.4.5","ipv6":null,"dns":[],"mtu":1328}\n'], "said what it should not"),
        ([b""], "closed the connection"),
        ([encode(LEASED), encode(Ended("it stops"))], "ended the lease: it stops"),
        ([encode(LEASED), encode(Pong(0)) + encode(Pong(9))], "says 'Pong', which nobody asked"),
        ([encode(LEASED), b""], "closed the connection"),
    ],
)
def test_what_is_wrong_is_told(answers: list[bytes], says: str) -> None:
    with pytest.raises(TunnelError) as caught:
        run(*answers, work=lease_and_hold)
    assert says in str(caught.value)


def test_a_server_of_many_words_is_one_cause() -> None:
    causes = Counter[str]()
    for number in range(5):
        for answers in ([encode(Refused(f"no, {number}"))], [encode(LEASED), encode(Ended(f"over, {number}"))]):
            with pytest.raises(TunnelError, match=f", {number}") as caught:
                run(*answers, work=lease_and_hold)
            causes[caught.value.cause] += 1
    assert causes == {"refused": 5, "ended": 5}


def test_a_silent_server_is_dead(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control_module, "LEASE_WITHIN_S", 0.1)

    async def silent() -> None:
        ended = asyncio.Event()

        async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read()
            writer.transport.abort()
            ended.set()

        server = await asyncio.start_server(talk, "::1", 0)
        async with server, Control("::1", server.sockets[0].getsockname()[1]) as control:
            try:
                await lease(control)
            finally:
                await control.__aexit__()
                await ended.wait()

    with pytest.raises(TunnelError, match="said nothing for"):
        asyncio.run(silent())


def test_nobody_there() -> None:
    async def dial() -> None:
        async with Control("::1", 1):
            pass

    with pytest.raises(TunnelError, match="no VPN server"):
        asyncio.run(dial())


@pytest.mark.parametrize(("ipv4", "ipv6"), [("8.8.8.8", None), ("100.64.0.7", "2001:4860::1"), ("10.1.1.1", "fd53::1")])
def test_a_server_lends_no_address_of_the_worlds(ipv4: str, ipv6: str | None) -> None:
    with pytest.raises(TunnelError, match="not private addresses"):
        lent_of(Leased(ipv4, ipv6, (), 1328), 1328)


def test_a_narrow_tunnel_has_no_ipv6() -> None:
    assert lent_of(LEASED, 1200).ipv6 is None
    assert str(lent_of(LEASED, 1328).ipv6) == "fd54::7"
