"""What a person at a manager's board asks: each command answers in lines that fit a terminal, and as JSON. And what no
command, log or process list may show.
"""

from __future__ import annotations

import base64
import json
from pathlib import Path

from services.keys import Identity
from tests.laboratory.residents import SEED
from tests.mesh.world import World

WIDTH = 80
OF_MANAGER = (
    ("status",),
    ("nodes",),
    ("links",),
    ("routes",),
    ("services",),
    ("names",),
    ("route", "find", "a", "d", "--policy", "hops_at_least=2"),
    ("invite", "--uses", "1"),
)
OF_NODE = (("status",), ("links",), ("sessions",), ("routes",), ("services",), ("meter",), ("find",))


def commands_answer(world: World) -> str:
    with world.session_to("a", "d", 7500):
        for name, host, commands in (("manager", "m", OF_MANAGER), ("node", "a", OF_NODE)):
            for words in commands:
                lines = world.host(host).run([name, *words]).stdout.splitlines()
                wide = [line for line in lines if len(line) > WIDTH and "skywire:" not in line]
                assert not wide, f"{name} {' '.join(words)} is wider than a terminal: {wide[0]}"
                json.loads(world.host(host).run([name, *words, "--json"]).stdout)
        found = json.loads(world.host("m").run(["manager", "route", "find", "a", "d", "--json"]).stdout)
    return f"{len(OF_MANAGER)} commands of manager, {len(OF_NODE)} of node; a to d: {len(found['routes'])} routes"


def built_by_hand(world: World) -> str:
    """A route through named nodes, as the original's manager built them."""
    ask = ["manager", "route", "build", "a", "x", "d", "y", "--json"]
    built = json.loads(world.host("m").run(ask).stdout)
    assert [world.name(node) for node in built["nodes"]] == ["a", "x", "d", "y"]
    held = {name: [row.route for row in world.routes(name)] for name in ("a", "x", "d", "y", "z")}
    assert all((built["route"] in held[name]) == (name != "z") for name in held)
    world.host("m").run(["manager", "route", "close", built["route"]])
    world.wait(
        lambda: all(built["route"] not in [r.route for r in world.routes(name)] for name in "axdy"), "it is gone"
    )
    return "a-x-d-y: all four hold its label, z does not; closed, nobody does"


def secrets_stay(world: World) -> str:
    """In no file of a host but the seed's own, and on no command line or environment."""
    looked = 0
    for name, resident in world.lab.residents.items():
        identity = Identity(resident.seed)
        private = [resident.seed, identity.session_secret(), identity.link_secret()]
        forms = [form for one in private for form in shapes(one.reveal())]
        host = world.host(name)
        files = [path for path in host.folder.rglob("*") if path.is_file() and path != host.folder / SEED]
        files += [path for path in host.outside("/run").rglob("*") if path.is_file()]
        files += [Path(f"/proc/{pid}/{what}") for pid in host.pids() for what in ("cmdline", "environ")]
        for path in files:
            text = path.read_bytes()
            assert not any(form in text for form in forms), f"a private key of '{name}' is in {path}"
        looked += len(files)
    return f"looked for every seed and private key in {looked} files, command lines and environments"


def shapes(key: bytes) -> tuple[bytes, ...]:
    return key, key.hex().encode(), key.hex().upper().encode(), base64.b64encode(key).rstrip(b"=")


def test_commands_answer(three_ways: World) -> None:
    commands_answer(three_ways)


def test_a_route_is_built_by_hand(three_ways: World) -> None:
    built_by_hand(three_ways)


def test_secrets_stay_where_they_are(three_ways: World) -> None:
    secrets_stay(three_ways)


def test_a_leak_would_be_seen(three_ways: World) -> None:
    host = three_ways.host("z")
    leak = host.folder / "leak.log"
    leak.write_bytes(b"key: " + base64.b64encode(three_ways.lab.residents["z"].seed.reveal()))
    try:
        secrets_stay(three_ways)
    except AssertionError as error:
        assert "a private key of 'z'" in str(error)  # noqa: PT017 (what it says matters)
    else:
        raise AssertionError("the leak was not seen")
    finally:
        leak.unlink()
