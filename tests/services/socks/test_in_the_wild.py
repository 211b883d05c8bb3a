"""What a machine with public addresses does: seen in a network of its own, which `in_the_wild` makes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from ipaddress import ip_network
from typing import Any

import pytest

from services.socks.server.nearby import networks4, networks6
from tests.services.socks.stage import TREE

ROUTES = """Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
eth0\t00000000\t014D0905\t0003\t0\t0\t0\t00000000\t0\t0\t0
eth0\t004D0905\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0
eth0\t00630905\t014D0905\t0003\t0\t0\t0\t00FFFFFF\t0\t0\t0
tun0\t00000000\t00000000\t0001\t0\t0\t0\t00000080\t0\t0\t0
*\t00AA0905\t00000000\t0201\t0\t0\t0\t00FFFFFF\t0\t0\t0
"""
ADDRESSES = """2a0104f8007700000000000000000002 02 40 00 80     eth0
2a0104f8007800000000000000000002 02 80 00 80     eth0
"""


def play(scene: str) -> Any:
    if os.geteuid() != 0:
        pytest.skip("makes a network namespace: run as root")
    words = ["unshare", "--net", "--mount", sys.executable, "-m", "tests.services.socks.in_the_wild", scene]
    done = subprocess.run(words, cwd=TREE, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_which_networks_are_near() -> None:
    assert list(networks4(ROUTES)) == [ip_network("5.9.77.0/24")]
    assert list(networks6(ADDRESSES)) == [ip_network("2a01:4f8:77::/64"), ip_network("2a01:4f8:78::/64")]


def test_neighbours_are_no_part_of_the_internet() -> None:
    """By public addresses of either family; those that are allowed are tried, and whoever is beyond the router."""
    found = play("neighbours")
    assert found["seen"] == [False, False, True]
    replies = found["replies"]
    refused = {host for host, reply in replies.items() if reply == 2}
    assert refused == {"5.9.77.99", "2a01:4f8:77::99", "2a01:4f8:78::99"}, replies
    assert set(replies.values()) <= {2, 4, 6}, replies


def test_nobody_holds_the_names_of_others() -> None:
    """Of a client that asks for names without an end."""
    found = play("names")
    assert (found["reply"], found["answered"]) == (0, 0)
    assert found["took_s"] < 2, found


def test_the_other_family_answers_within_a_second() -> None:
    """Where IPv6 swallows what it is sent (RFC 8305), and where it refuses."""
    found = play("families")
    (silent, waited_s), (refusing, refused_s) = found["replies"].values()
    assert (silent, refusing) == (0, 0)
    assert found["tried"] == 2, "IPv6 comes first"
    assert 0.2 < waited_s < 1, found
    assert refused_s < 0.25, found


def test_what_a_dial_comes_to() -> None:
    """By its addresses in their order, within a second in all."""
    found = play("dials")
    assert {name: outcome for name, (outcome, _) in found.items()} == {
        "silent, then listening": "::1",
        "refusing, then listening": "::1",
        "two silent, then listening": "::1",
        "refusing": "REFUSED",
        "silent": "TIMED_OUT",
        "none": "HOST_UNREACHABLE",
    }
    took = {name: took_s for name, (_, took_s) in found.items()}
    assert 0.2 < took["silent, then listening"] < 1, took
    assert 0.45 < took["two silent, then listening"] < 1, took
    assert max(took["refusing, then listening"], took["refusing"], took["none"]) < 0.25, took
    assert 0.9 < took["silent"] < 2, took


def test_only_neighbours_may_use_the_client() -> None:
    """It listens on the LAN, and `allow_from` names that."""
    found = play("strangers")
    assert found == {"said": {"5.9.77.2": 0, "5.9.90.2": -1}, "logged": 1}
