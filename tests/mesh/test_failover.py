"""A running TCP stream goes on over the second way, whatever happens to the first. The network is mended behind each
test, which also shows that what comes back is used again.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterator

import pytest

from tests.mesh.world import TWO_HOPS, World

AIM_S = 3.0
"""The gap a stream may see here, on a busy machine; `tests/bench mesh` measures it in earnest."""

Break = Callable[[World, str], Callable[[], None]]
"""Does something to the active way's relay or its cables, and returns what mends it."""


def pull_the_plug(world: World, relay: str) -> Callable[[], None]:
    world.host(relay).power_off()
    return world.host(relay).power_on


def cut_the_link(world: World, relay: str) -> Callable[[], None]:
    cable = world.lab.cable("a", relay)
    cable.down()
    return cable.up


def black_hole(world: World, relay: str) -> Callable[[], None]:
    """All devices stay up."""
    cable = world.lab.cable("d", relay)
    cable.black_hole()
    return lambda: cable.loss(0)


def lose_towards(end: str, share: float = 1.0) -> Break:
    """On the cable at that end, so that the loss is one-way."""

    def lose(world: World, relay: str) -> Callable[[], None]:
        cable = world.lab.cable(end, relay)
        cable.loss(share, towards=end)
        return lambda: cable.loss(0)

    return lose


def kill_the_tunnels(world: World, relay: str) -> Callable[[], None]:
    """Every process of the relay at once, its tunnels too; the node is started again."""
    host = world.host(relay)
    for pid in host.pids():
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return lambda: world.start_again(relay)


BREAKS: dict[str, Break] = {
    "plug": pull_the_plug,
    "link": cut_the_link,
    "black-hole": black_hole,
    "loss-towards-client": lose_towards("a"),
    "loss-towards-server": lose_towards("d"),
    "processes": kill_the_tunnels,
}


@contextlib.contextmanager
def mended(world: World, relay: str, way: Break) -> Iterator[float]:
    """Broken within the context; gives when."""
    mend = way(world, relay)
    try:
        yield time.monotonic()
    finally:
        mend()
        world.wait_joined(relay)
        world.wait_cables()


# what was seen, in words: `tests/prove mesh` prints it


def download_goes_on(world: World, way: str) -> str:
    with world.stream("a", "d", 7100, TWO_HOPS, paced=False) as stream:
        first = world.path("a", "d")
        with mended(world, first[1], BREAKS[way]) as broken:
            gap = stream.wait_resumed(broken)
            second = world.path("a", "d")
            assert first[1] not in second[1:-1]
            assert len(second) == 3
            assert gap < AIM_S, f"the stream stood still for {gap:.2f} s"
            took = world.wait(
                lambda: any(first[1] not in way and len(way) == 3 for way in world.standbys("a", "d")),
                "there is a new second way, past the broken one",
            )
        stream.close()
    return (
        f"{told(first)} to {told(second)}, gap {gap:.2f} s; a new standby after {took:.1f} s more; no byte is missing"
    )


def half_lost_one_way(world: World) -> str:
    """Not a break, but nobody wants to download over it."""
    with world.stream("a", "d", 7101, TWO_HOPS) as stream:
        first = world.path("a", "d")
        with mended(world, first[1], lose_towards("a", 0.5)):
            took = world.wait(lambda: world.path("a", "d") != first, "the session has left the bad way", 20)
        stream.close()
    return f"{told(first)} was left after {took:.1f} s"


def no_manager_at_all(world: World) -> str:
    with world.stream("a", "d", 7102, TWO_HOPS) as stream:
        for job in ("manager", "node"):
            world.host("m").job(job).kill(signal.SIGKILL)
        first = world.path("a", "d")
        world.wait(lambda: not world.status("a").is_connected, "'a' has no manager")
        with mended_without_manager(world, first[1]) as broken:
            gap = stream.wait_resumed(broken)
            second = world.path("a", "d")
            assert first[1] not in second[1:-1]
            assert gap < AIM_S
        stream.close()
    world.wait_joined()
    return f"manager and its node killed; {told(first)} to {told(second)}, gap {gap:.2f} s"


def restarts_drop_nothing(world: World) -> str:
    """Relay and both ends, one after the other, under pings through the session."""
    with world.session_to("a", "d", 7103, TWO_HOPS, standby=True):
        relay = world.path("a", "d")[1]
        words = ["ping", "-i", "0.01", "-c", "1200", "-q", world.host("d").session_address]
        ping = world.host("a").start(words, name="pings")
        for name in (relay, "d", "a"):
            before = world.host(name).job("node").pid
            world.host(name).job("node").kill(signal.SIGKILL)
            world.start_again(name)
            assert world.host(name).job("node").pid != before
        world.wait(lambda: world.session("a", "d").paths, "'a' knows its session")
        switches = world.session("a", "d").switches
        assert ping.is_running
        ping.wait()
        seen = ping.wait_line("packets transmitted")
        assert " 0% packet loss" in seen, seen
        assert switches == 0
    return f"nodes of {relay}, d and a killed and started: {seen}"


def told(path: tuple[str, ...]) -> str:
    return "-".join(path) or "direct"


@contextlib.contextmanager
def mended_without_manager(world: World, relay: str) -> Iterator[float]:
    cable = world.lab.cable("a", relay)
    cable.black_hole()
    try:
        yield time.monotonic()
    finally:
        cable.loss(0)
        world.start_again("m")
        world.wait_joined()
        world.wait_cables()


@pytest.mark.parametrize("way", BREAKS)
def test_a_download_goes_on(three_ways: World, way: str) -> None:
    download_goes_on(three_ways, way)


def test_half_of_the_packets_lost_one_way(three_ways: World) -> None:
    half_lost_one_way(three_ways)


def test_without_any_manager_sessions_go_on_and_fail_over(three_ways: World) -> None:
    no_manager_at_all(three_ways)


def test_a_node_that_starts_again_drops_no_packet(three_ways: World) -> None:
    restarts_drop_nothing(three_ways)
