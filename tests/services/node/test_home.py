"""A node and its managers, for real: joining, staying over a restart, coming back, clocks that are wrong."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.keys import wireguard_text
from tests.services.kernel.hosts import DEADLINE_S, ROOT
from tests.services.node.conftest import MakeNodes
from tests.services.node.test_run import lost, ping, sees
from tests.services.node.world import Manager, Node

YEAR_S = 365 * 86400
EPOCH_S = 56 * YEAR_S


@pytest.fixture
def network(make_nodes: MakeNodes) -> Iterator[tuple[Manager, Node, Node]]:
    """A manager, the node beside it, and a node that has joined."""
    beside, node = make_nodes("ma", 'managers: [{at: "10.0.1.1:7997"}]\nlink_networks: [10.0.0.0/16]')
    beside.start()
    manager = Manager(beside)
    try:
        manager.start()
        node.start()
        node.waits(lambda status: status.works and status.links_up == 1)
        yield manager, beside, node
    finally:
        manager.stop()


def shakes(node: Node, at: Node, time_s: float) -> bool:
    """Whether the other's session socket takes a handshake of that time."""
    private, public = node.identity.session_secret().reveal(), at.identity.session_key
    words = [at.at, "51821", wireguard_text(private), wireguard_text(public), str(int(time_s))]
    inside = [*node.host.inside(), f"--wdns={ROOT}", sys.executable, "-m", "tests.services.node.noise", *words]
    return subprocess.run(inside, check=False, timeout=DEADLINE_S).returncode == 0


def reboot(node: Node) -> None:
    """What a reboot leaves: the card."""
    node.kill()
    node.down()
    shutil.rmtree(node.folder / "ram")


def test_a_restart_joins_nobody_and_loses_no_packet(network: tuple[Manager, Node, Node]) -> None:
    _, beside, node = network
    assert "works: manager" in node.status().summary
    pinging = ping(node, "-i0.01", "-c500", "-W2", beside.session_address)
    node.kill()
    node.start()
    node.waits(lambda status: status.works and status.links_up == 1)
    beside.kill()
    beside.start()
    assert lost(pinging) == 0
    beside.waits(lambda status: status.works)
    node.waits(lambda status: status.works)
    assert node.log.read_text().count("admitted by") == 1


def test_a_manager_that_was_away_is_found_again(network: tuple[Manager, Node, Node]) -> None:
    """Its host starts anew: nothing of any session is left there."""
    manager, beside, node = network
    manager.stop()
    reboot(beside)
    node.waits(lambda status: not status.works and "NOT working" in status.summary)
    beside.start()
    manager.start()
    node.waits(lambda status: status.works and status.links_up == 1)


@pytest.mark.parametrize("ahead_s", [YEAR_S, EPOCH_S], ids=["a year ahead", "now at the epoch"])
def test_a_clock_that_went_back(network: tuple[Manager, Node, Node], ahead_s: float) -> None:
    """The manager's kernel has seen a handshake later than the node's clock by so much, and takes no other until the
    node joins. A board at the epoch is so far behind what was seen of it before.
    """
    _, beside, node = network
    reboot(node)
    assert shakes(node, beside, time.time() + ahead_s)
    assert not shakes(node, beside, time.time())
    node.start()
    node.waits(lambda status: status.works)


def test_a_lost_sequence_is_outrun(network: tuple[Manager, Node, Node]) -> None:
    """The card is gone, and the clock is at the epoch: the record's number is lower than the one that is known."""
    _, _, node = network
    node.stop()
    shutil.rmtree(node.folder / "ram")
    kept = node.folder / "card" / "record.json"
    kept.write_text(_with_sequence(kept, 1))
    node.start()
    node.waits(lambda status: status.works)
    sees(node, "numbered too low")


def _with_sequence(kept: Path, sequence: int) -> str:
    return json.dumps({**json.loads(kept.read_text()), "sequence": sequence})
