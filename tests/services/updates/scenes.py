"""What is done to a rack and has to come of it; each returns what was seen. In this order, for versions rise."""

from __future__ import annotations

import hashlib
import signal

from services.updates.model import PORT
from tests.services.updates.bundles import make_key
from tests.services.updates.rack import BOARDS, Rack

FIRST, BROKEN, FOREIGN, SECOND = "1.1.0+1", "1.2.0+2", "1.3.0+3", "1.4.0+4"


def one_after_another(rack: Rack) -> str:
    bundle = rack.bundle(FIRST)
    said = rack.command("start", str(bundle), "--nodes", "a,b")
    assert FIRST in said, said
    took_s = rack.wait_course("done")
    assert rack.went == ["a", "b"], rack.went
    assert rack.down == 1
    assert [rack.version(name) for name in BOARDS] == [FIRST, FIRST, "1.0.0", "1.0.0"]
    return f"a and b restarted in that order, never two at once, {took_s:.0f} s"


def a_stranger_fetches_nothing(rack: Rack) -> str:
    """Who is no member has no way there; who is one gets the very bytes, and ranges of them."""
    world, address = rack.world, rack.world.host("m").session_address
    name = rack.update().sha256
    place = f"/updates/{name}.raucb"
    lan = world.host("m").facts.addresses["m"]
    for url in (f"http://[{address}]:{PORT}{place}", f"http://{lan}:{PORT}{place}"):
        done = world.host("stranger").run(["curl", "-gsS", "--max-time", "2", url], check=False)
        assert done.returncode in {6, 7, 28}, (done.returncode, done.stdout[:100])
    url = f"http://[{address}]:{PORT}"
    whole = _fetch(rack, "b", f"{url}{place}")
    assert hashlib.sha256(whole).hexdigest() == name
    part = _fetch(rack, "b", f"{url}{place}", "--range", "65530-65600")
    assert part == whole[65530:65601]
    words = [
        "python",
        "-c",
        "import sys; from viscript.shell.rollout import bundle_url; print(bundle_url(sys.argv[1]))",
    ]
    told = world.host("b").run([*words, world.id("m")]).stdout.strip()
    assert told == f"{url}{place}", "update node:m, on b"
    return f"the stranger: {done.stderr.strip()}; member b: {len(whole)} bytes, their SHA-256 is right"


def _fetch(rack: Rack, name: str, url: str, *words: str) -> bytes:
    host = rack.world.host(name)
    host.run(["curl", "-gsSf", "--max-time", "20", "-o", "fetched", *words, url])
    return (host.folder / "fetched").read_bytes()


def a_forged_order_is_refused(rack: Rack) -> str:
    """By somebody who has got onto the bus with all a manager's rights there, but without a manager's key."""
    m = rack.world.host("m")
    words = ["python", "-m", "tests.services.updates.forger", str(m.folder / "manager/cluster.secret")]
    said = m.run([*words, m.session_address, m.node_id, rack.world.id("a")]).stdout.strip()
    assert "who is no manager of this node" in said, said
    assert rack.version("a") == FIRST
    assert rack.went == ["a", "b"]
    return said


def a_failure_stops_it(rack: Rack) -> str:
    rack.forget()
    (rack.door("b") / "falls-back").touch()
    rack.command("start", str(rack.bundle(BROKEN)))
    rack.wait_course("stopped")
    assert rack.went == ["a", "b"]
    stages, update = rack.stages(), rack.update()
    assert stages == {"a": "done", "b": "failed", "c": "waiting", "m": "waiting"}, stages
    assert "rolled back: version" in update.why, update.why
    assert "viscript did not answer" in update.why, update.why
    assert [rack.version(name) for name in "abc"] == [BROKEN, FIRST, "1.0.0"]
    said = rack.world.host("m").run(["manager", "status"]).stdout
    assert "fell back to" in said, said
    return f"{rack.command('status').splitlines()[0]}; c and m were not touched"


def a_wrong_key_stops_it_before_a_slot_is_touched(rack: Rack) -> str:
    rack.forget()
    foreign = make_key(rack.folder, "foreign")
    rack.command("start", str(rack.bundle(FOREIGN, foreign)), "--nodes", "c,b")
    rack.wait_course("stopped")
    assert rack.stages()["c"] == "failed"
    assert rack.went == []
    assert rack.version("c") == "1.0.0"
    return rack.update().why


def in_percentages_though_the_manager_is_killed(rack: Rack) -> str:
    """Two at once; while both fetch, the manager and its NATS die, and come back. Its own board comes last."""
    rack.forget()
    for name in "ab":
        (rack.door(name) / "is-slow").write_text("0.3")
    rack.command("start", str(rack.bundle(SECOND)), "--percent", "50")
    rack.wait_for(lambda _: [rack.stages()[name] for name in "ab"] == ["installing"] * 2, "two boards install")
    rack.world.host("m").job("manager").kill(signal.SIGKILL)
    for name in "ab":
        (rack.door(name) / "is-slow").unlink()
    rack.world.start_again("m")
    took_s = rack.wait_course("done")
    assert {name: rack.version(name) for name in BOARDS} == dict.fromkeys(BOARDS, SECOND), rack.command("status")
    assert rack.down <= 2
    assert rack.went[-1] == "m"
    assert sorted(rack.went) == ["a", "b", "c", "m"]
    return f"manager killed while a and b fetched; done {took_s:.0f} s after, in the order {', '.join(rack.went)}"
