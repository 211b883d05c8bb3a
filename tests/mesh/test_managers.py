"""Three managers, any of which may be killed; and what managers do for names and against nodes."""

from __future__ import annotations

import time

import pytest

from services.addresses import link_address
from services.keys import Identity, session_key
from services.manager.api_words import Admit, Done, Expel, SetName
from services.node.api_words import Resolve, Resolved
from services.node.errors import NodeRefusedError
from tests.mesh.kernel_view import peers
from tests.mesh.stream import open_stream
from tests.mesh.world import TWO_HOPS, World

MANAGERS = ("m-1", "m-2", "m-3")
GONE_WITHIN_S = 2.0


def manager_killed(world: World, killed: str) -> str:
    """Sessions are opened, services found and nodes join while it is away."""
    with world.session_to("a", "d", 7400) as _, open_stream(world.host("d"), world.host("a"), 7400) as stream:
        world.host(killed).power_off()
        try:
            world.host("x").job("node").stop()
            world.start_again("x")
            world.wait_joined("x", "a", "d")
            world.wait_cables()
            with world.session_to("d", "x", 7401):
                pass
            stream.close()
        finally:
            world.host(killed).power_on()
    world.wait_joined()
    world.wait_cables()
    return f"{killed} off: a node joined, a session was opened, a stream went on"


def test_a_manager_may_be_killed(three_managers: World) -> None:
    """The first, whom all nodes have joined; `tests/prove mesh` kills each."""
    manager_killed(three_managers, MANAGERS[0])


def expelled(world: World) -> str:
    """Links, labels and peers at all others within two seconds; sessions over it move away."""
    with world.stream("a", "d", 7402, TWO_HOPS) as stream:
        out = world.path("a", "d")[1]
        identity = Identity(world.lab.residents[out].seed)
        others = [name for name in world.lab.topology.hosts if name != out]
        keys = {identity.link_key.hex(), session_key(identity.node_id).hex()}
        link = link_address(identity.link_key)
        begin = time.monotonic()
        world.ask_manager(Expel(world.id(out), "a test"), Done)

        def is_gone() -> bool:
            return not any(
                keys & (peers(world.host(name), "sky-link") | peers(world.host(name), "sky0"))
                or any(out in (world.name(r.initiator_side), world.name(r.responder_side)) for r in world.routes(name))
                for name in others
            )

        world.wait(is_gone, f"'{out}' ({link}) is gone everywhere", 20)
        took = time.monotonic() - begin
        stream.wait_resumed(begin)
        assert world.path("a", "d")[1] != out
        stream.close()
    world.ask_manager(Admit(world.id(out)), Done)
    world.wait_joined(out)
    world.wait_cables()
    assert took <= GONE_WITHIN_S
    return f"{out} was gone from {len(others)} hosts after {took:.2f} s"


def test_who_is_expelled_is_gone_everywhere(three_managers: World) -> None:
    expelled(three_managers)


def names(world: World) -> str:
    """What the managers vouch for is known on every node, as theirs."""
    world.ask_manager(SetName("depot", world.id("d")), Done)
    found: list[Resolved] = []

    def resolve() -> bool:
        found.append(world.node("a").ask(Resolve("depot.sky"), Resolved))
        return True

    world.wait(resolve, "the name is known", 20)
    assert (found[0].node_id, found[0].by) == (world.id("d"), "vouched")
    assert found[0].address == world.host("d").session_address
    with pytest.raises(NodeRefusedError):
        world.node("a").ask(Resolve("nobody.sky"), Resolved)
    return f"depot.sky is {found[0].address}, vouched; nobody.sky is refused"


def test_names(three_managers: World) -> None:
    names(three_managers)
