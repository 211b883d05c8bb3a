"""What may be set, and how a mistake is told."""

from __future__ import annotations

from ipaddress import ip_network
from pathlib import Path

import pytest

from services.errors import SettingsError
from services.vpn.client.config import Config, load_config


def load(tmp_path: Path, text: str) -> Config:
    path = tmp_path / "vpn-client.yaml"
    path.write_text(text)
    return load_config(path)


def test_nothing_need_be_set(tmp_path: Path) -> None:
    found = load(tmp_path, "")
    assert found == Config()
    assert found.kill_switch
    assert found.exceptions.open_networks == ()
    assert found.exceptions.holds_dns


def test_what_may_pass(tmp_path: Path) -> None:
    found = load(tmp_path, "exclude: [9.9.9.0/24]\nlan: true\nreachable: [tcp/22]\ngateways: [eth1]\ndns: leave\n")
    told = found.exceptions
    assert ip_network("9.9.9.0/24") in told.open_networks
    assert ip_network("192.168.0.0/16") in told.open_networks
    assert told.reachable == (("tcp", 22),)
    assert told.gateways == ("eth1",)
    assert not told.holds_dns


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("only: [9.9.9.1/24]", ":1: key 'only[0]': expected a network such as 192.168.1.0/24, found '9.9.9.1/24'"),
        ("only: [9.9.9.0/24]\nexclude: [8.8.8.0/24]", "'only' and 'exclude' say opposite things"),
        ("gateways: ['eth1\" accept; drop']", "expected the name of an interface to neighbours"),
        ("gateways: [sky0]", "expected the name of an interface to neighbours"),
        ("reachable: [ssh]", "expected tcp/PORT or udp/PORT"),
        ("country: germany", "is not two letters"),
        ("killswitch: true", "unknown key 'killswitch'"),
        ("policy: {hops_at_least: 0}", "hops_at_least"),
    ],
)
def test_mistakes_are_told(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load(tmp_path, text)
    assert says in str(caught.value)
