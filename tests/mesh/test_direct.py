"""A session that needs no relay runs straight over the underlay, moves to a route and back, and does neither where the
policy forbids it.
"""

from __future__ import annotations

import time

from services.manager.routes.policy import Policy
from tests.mesh.stream import open_stream
from tests.mesh.world import World

ANY = Policy()
SILENCE = """table ip silence {{
  chain in {{ type filter hook input priority 0; ip saddr {other} drop; }}
  chain out {{ type filter hook output priority 0; ip daddr {other} drop; }}
}}"""
"""The switch that carries the joins would carry a direct session just as well."""


def direct_to_route_and_back(world: World) -> str:
    with (
        world.session_to("a", "x", 7300, ANY),
        open_stream(world.host("x"), world.host("a"), 7300) as stream,
    ):
        world.wait(lambda: world.path("a", "x") == (), "the session is direct", 30)
        stream.wait_bytes()
        world.host("x").run(["nft", "-f", "-"], given=SILENCE.format(other=world.host("a").node.address("control")))
        world.lab.cable("a", "x").black_hole()
        broken = time.monotonic()
        try:
            gap = stream.wait_resumed(broken)
            route = world.path("a", "x")
            assert len(route) > 2
        finally:
            world.lab.cable("a", "x").loss(0)
            world.host("x").run(["nft", "delete table ip silence"])
        took = world.wait(lambda: world.path("a", "x") == (), "the session is direct again", 60)
        stream.close()
    world.wait_joined()
    world.wait_cables()
    return f"direct, then {len(route) - 1} hops, gap {gap:.2f} s, then direct after {took:.1f} s"


def test_it_moves_to_a_route_and_back(three_ways: World) -> None:
    direct_to_route_and_back(three_ways)


def two_hops_are_never_direct(world: World) -> str:
    """No way of it is, and when all routes are gone the session stands still rather than show an address."""
    with (
        world.session_to("a", "d", 7301) as connected,
        open_stream(world.host("d"), world.host("a"), 7301) as stream,
    ):
        assert connected.port == 7301
        assert all(path.route for path in world.session("a", "d").paths)
        for relay in "xyz":
            world.lab.cable("a", relay).black_hole()
        broken = time.monotonic()
        try:
            world.wait(lambda: time.monotonic() > broken + 3, "three seconds have passed")
            assert stream.gap_since(broken) > 2
            assert all(path.route for path in world.session("a", "d").paths)
        finally:
            for relay in "xyz":
                world.lab.cable("a", relay).loss(0)
        stream.wait_resumed(time.monotonic(), 60)
        stream.close()
    world.wait_cables()
    return "all routes gone: it stood still; routes back: it went on; no direct path at any time"


def test_a_policy_of_two_hops_is_never_direct(three_ways: World) -> None:
    two_hops_are_never_direct(three_ways)
