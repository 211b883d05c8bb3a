"""Two boards on one bare cable, by link-local addresses of IPv4 (RFC 3927). Each has another network beside it, where
the other is not, and where both have the same address.
"""

from __future__ import annotations

import json
from pathlib import Path

from services.manager.api_words import Invite, Invited
from services.manager.client import ask
from services.node.api_words import GetLinks, Links
from services.node.line import ask_once
from services.pairing import api_words as words
from tests.laboratory.host import Host
from tests.mesh.conftest import check_lab
from tests.services.pairing.boards import run_boards, wait
from tests.services.pairing.test_boards import compare

CABLE, ELSEWHERE = "169.254.0.0/16", "10.0.2.15/24"


def make_link_local(host: Host) -> None:
    """As networkd does it: of the link's scope, not of the world's."""
    [device] = json.loads(host.run(["ip", "-json", "-4", "address", "show", "to", CABLE]).stdout)
    name, address = device["ifname"], f"{host.facts.addresses[host.name]}/16"
    host.run(["ip", "address", "del", address, "dev", name])
    host.run(["ip", "address", "add", address, "scope", "link", "dev", name])
    host.run(["ip", "link", "add", "out", "type", "veth", "peer", "name", "out-end"])
    for end in ("out", "out-end"):
        host.run(["ip", "link", "set", end, "up"])
    host.run(["ip", "address", "add", ELSEWHERE, "dev", "out"])


def test_boards_pair_and_link_on_a_bare_cable(tmp_path: Path) -> None:
    check_lab()
    sides = {"one": "role: manager", "two": "role: member"}
    with run_boards("one two", tmp_path / "lab", subnet=CABLE, prepare=make_link_local, **sides) as boards:
        one, two = boards["one"], boards["two"]
        manager, new = compare(one, two)
        manager.say(words.Confirm())
        new.say(words.Confirm())
        assert manager.until("confirmed").stage == new.until("confirmed").stage == "confirmed"
        assert f"{one.address}:7997" in two.joined.read_text()
        wait(lambda: two.node().works and len(one.members()) == 2, "the new board is in the manager's network")
        wait(lambda: two.node().links_up == one.node().links_up == 1, "the link between them is up")
        [link] = ask_once(GetLinks(), Links, two.node_socket).links
        assert one.address in str(link)
        invited = ask(Invite(60, 1), Invited, one.manager_socket)
        assert invited.at == f"{ELSEWHERE.partition('/')[0]}:7997", "a link-local address is the last to be told"
