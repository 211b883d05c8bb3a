"""What is seen of sessions and what follows: who is told of traffic, what a silent or dead session leads to."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

import pytest
from msgspec.structs import replace

from services.addresses import SESSIONS, session_address
from services.kernel.model import Endpoint, IpAddress, Traffic
from services.keys import Identity, new_seed, session_key
from services.manager.routes.policy import Policy
from services.node import pilot as pilot_module
from services.node import watch as module
from services.node.api_words import Publish
from services.node.errors import ProbeLostError
from services.node.paths import DIRECT, FAST_S, Switch
from services.node.session_words import way_note
from services.node.watch import Watch
from tests.services.node.between import Manager, Node, until

Test = Callable[[Manager, Node, Node], Awaitable[None]]


class Figures:
    """What WireGuard would tell of one peer."""

    def __init__(self, other: Node) -> None:
        self._key = session_key(other.node_id)
        self.received = self.sent = 0
        self.address: IpAddress | None = None

    async def traffic(self, device: str) -> list[Traffic]:
        assert device == "sky0"
        endpoint = Endpoint(self.address, 51821) if self.address is not None else None
        return [Traffic(self._key, endpoint, 0, self.received, self.sent)]


class Heard:
    def __init__(self) -> None:
        self.at_s: float | None = None

    def last_asked_s(self, _: IPv6Address) -> float | None:
        return self.at_s


def run(folder: Path, test: Test) -> None:
    """`a` has a session with `b`, by two routes and where the test says so, directly."""

    async def go() -> None:
        manager = Manager()
        a, b = [await Node(manager, folder, Identity(new_seed())).start() for _ in range(2)]
        await b.publisher.publish(Publish("web", 8080))
        try:
            async with asyncio.timeout(60):
                await test(manager, a, b)
        finally:
            for node in (a, b):
                await node.close()

    asyncio.run(go())


def watch(node: Node, figures: Figures, heard: Heard | None = None) -> Watch:
    return Watch(node.sessions, node.sessions.change, figures, node.labels, heard or Heard())


def test_a_pilot_hears_of_traffic(tmp_path: Path) -> None:
    async def test(_: Manager, a: Node, b: Node) -> None:
        await a.sessions.connect(b.node_id, "web", Policy())
        pilot, figures = a.sessions.pilot(b.node_id), Figures(b)
        assert pilot is not None
        pilot.paths._traffic_s = pilot.traffic_s = -1000.0
        looking = watch(a, figures)
        figures.sent = 1_000_000
        await looking.look()
        assert pilot.traffic_s == -1000.0
        figures.sent += 10_000
        await looking.look()
        assert pilot.traffic_s > 0
        assert pilot.paths._pace_s(asyncio.get_running_loop().time()) == FAST_S

    run(tmp_path, test)


def test_own_probes_inside_are_no_traffic(tmp_path: Path) -> None:
    """A direct way is probed inside the session: that must not keep it busy for ever."""

    async def test(_: Manager, a: Node, b: Node) -> None:
        await a.sessions.connect(b.node_id, "web", Policy())
        pilot = a.sessions.pilot(b.node_id)
        assert pilot is not None
        pilot.traffic(1, 1)
        pilot.traffic_s = -1000.0
        pilot._own_bytes = 10 * pilot_module.INSIDE_BYTES
        pilot.traffic(5 * pilot_module.INSIDE_BYTES, 5 * pilot_module.INSIDE_BYTES)
        assert pilot.traffic_s == -1000.0
        pilot._own_bytes = 10 * pilot_module.INSIDE_BYTES
        pilot.traffic(5 * pilot_module.INSIDE_BYTES + 1000, 5 * pilot_module.INSIDE_BYTES)
        assert pilot.traffic_s > 0

    run(tmp_path, test)


def test_a_responder_sees_which_way_the_other_takes(tmp_path: Path) -> None:
    async def test(manager: Manager, a: Node, b: Node) -> None:
        manager.direct = ("192.0.2.2:51821",)
        session = await a.sessions.connect(b.node_id, "web", Policy())
        figures = Figures(a)
        looking = watch(b, figures)
        for address, way in (
            (session.near(session.routes[1]), session.routes[1]),
            (IPv6Address("fd52::1"), session.routes[1]),
            (IPv4Address("192.0.2.1"), DIRECT),
            (None, DIRECT),
            (session.near(session.routes[0]), session.routes[0]),
        ):
            figures.address = address
            await looking.look()
            assert b.sessions.words[0].active == way

    run(tmp_path, test)


def test_what_lives_keeps_its_routes_and_what_is_dead_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "GONE_S", 0.05)

    async def test(_: Manager, a: Node, b: Node) -> None:
        session = await a.sessions.connect(b.node_id, "web", Policy())
        heard = Heard()
        ours, theirs = watch(a, Figures(b)), watch(b, Figures(a), heard)
        for node, looking in ((a, ours), (b, theirs)):
            node.labels.kept.clear()
            await looking.keep()
            assert node.labels.kept == set(session.routes)
        b.labels.kept.clear()
        await asyncio.sleep(0.1)
        await theirs.keep()
        assert b.labels.kept == set(), "nothing was heard: labels are left to expire"
        assert b.sessions.count == 1
        heard.at_s = time.monotonic()
        await theirs.keep()
        assert b.labels.kept == set(session.routes)
        heard.at_s = None
        b.labels.held.clear()
        await asyncio.sleep(0.1)
        await theirs.keep()
        assert b.sessions.count == 0

    run(tmp_path, test)


def test_a_session_that_nobody_used_for_a_day_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "IDLE_S", -1.0)

    async def test(manager: Manager, a: Node, b: Node) -> None:
        session = await a.sessions.connect(b.node_id, "web", Policy())
        await watch(a, Figures(b)).keep()
        assert a.sessions.count == 0
        await until(lambda: set(session.routes) <= set(manager.closed))

    run(tmp_path, test)


def test_a_responder_ends_what_the_initiator_closed(tmp_path: Path) -> None:
    async def test(_: Manager, a: Node, b: Node) -> None:
        await a.sessions.connect(b.node_id, "web", Policy())
        looking = watch(b, Figures(a))
        await looking.keep()
        assert b.sessions.count == 1
        b.labels.held.clear()
        await looking.keep()
        assert b.sessions.count == 0

    run(tmp_path, test)


def test_labels_that_came_late_give_their_mtu(tmp_path: Path) -> None:
    async def test(_: Manager, a: Node, b: Node) -> None:
        session = await a.sessions.connect(b.node_id, "web", Policy())
        words = b.sessions.words[0]
        await b.sessions.change(replace(words, ways=tuple(replace(way, mtu=1280) for way in words.ways)))
        assert b.sessions.words[0].mtu == 1200
        await watch(b, Figures(a)).keep()
        assert b.sessions.words[0].mtu == session.mtu == 1328

    run(tmp_path, test)


def test_a_session_whose_ways_are_all_dead_is_opened_anew(tmp_path: Path) -> None:
    """There is no network beneath these nodes, so no probe is answered."""

    async def test(manager: Manager, a: Node, b: Node) -> None:
        session = await a.sessions.connect(b.node_id, "web", Policy())
        await until(lambda: len(manager.requests) == 2)
        await until(lambda: not set(a.sessions.words[0].routes) & set(session.routes))
        await until(lambda: set(session.routes) <= set(manager.closed))
        assert b.sessions.words[0].routes == a.sessions.words[0].routes

    run(tmp_path, test)


def test_a_silent_session_is_opened_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its ways answer, and nothing comes back inside."""
    monkeypatch.setattr(pilot_module, "SILENT_S", 0.0)
    monkeypatch.setattr(pilot_module, "SURE_WITHIN_S", 0.05)

    async def test(manager: Manager, a: Node, b: Node) -> None:
        session = await a.sessions.connect(b.node_id, "web", Policy())
        pilot = a.sessions.pilot(b.node_id)
        assert pilot is not None
        now_s = asyncio.get_running_loop().time()
        for way in pilot.paths.ways.values():
            way.answered(now_s - 0.01, now_s)
        pilot.traffic(100, 100)
        pilot.traffic(0, 100)
        await until(lambda: len(manager.requests) == 2)
        await until(lambda: not set(a.sessions.words[0].routes) & set(session.routes))

    run(tmp_path, test)


class Losing:
    """Loses what goes inside, until it was said so often."""

    def __init__(self, times: int) -> None:
        self.times, self.notes = times, list[bytes]()

    async def probe(self, to: IPv6Address, *, note: bytes = b"", within_s: float, **_: object) -> float:
        if to in SESSIONS:
            self.notes.append(note)
            if len(self.notes) <= self.times:
                await asyncio.sleep(within_s)
                raise ProbeLostError("lost")
        return 0.001


def test_a_switch_is_said_inside_until_it_is_heard(tmp_path: Path) -> None:
    """Where the initiator only receives, nothing else would tell the responder where to send."""

    async def test(_: Manager, a: Node, b: Node) -> None:
        session = await a.sessions.connect(b.node_id, "web", Policy())
        pilot = a.sessions.pilot(b.node_id)
        assert pilot is not None
        await a.sessions._unsteer(b.node_id)
        probes = Losing(4)
        pilot._probes = probes
        await pilot._do(Switch(session.routes[1]))
        await until(lambda: len(probes.notes) == 5)
        assert set(probes.notes) == {way_note(session.routes[1])}
        await until(lambda: not pilot._tasks)
        assert len(probes.notes) == 5

    run(tmp_path, test)


def test_a_trial_that_fails_goes_back(tmp_path: Path) -> None:
    async def test(manager: Manager, a: Node, b: Node) -> None:
        manager.direct = ("192.0.2.2:51821", "192.0.2.3:51821")
        session = await a.sessions.connect(b.node_id, "web", Policy())
        pilot = a.sessions.pilot(b.node_id)
        assert pilot is not None
        tried = []
        for _ in range(3):
            await pilot._try_direct()
            tried.append(pilot.session.direct[0])
            assert pilot.session.active == session.active
            assert a.sessions.words[0].active == session.active
        assert tried == ["192.0.2.2:51821", "192.0.2.3:51821", "192.0.2.2:51821"]
        assert session_address(b.node_id) in a.prober._known

    run(tmp_path, test)
