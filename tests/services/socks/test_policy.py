"""Where a server may go: what is not public is refused, however it is written; lists in their order."""

from ipaddress import ip_address

import pytest

from services.errors import SettingsError
from services.settings_file import parse_settings
from services.socks.policy import Policy, Rule, is_public
from services.socks.server.config import Config


def permits(target: str, port: int = 443, *, allow: tuple[str, ...] = (), deny: tuple[str, ...] = ()) -> bool | None:
    policy = Policy([Rule.read_setting(text) for text in allow], [Rule.read_setting(text) for text in deny])
    return policy.permits(ip_address(target), port)


@pytest.mark.parametrize(
    "target",
    [
        *(
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "127.0.0.1",
            "127.255.0.1",
            "169.254.169.254",
            "172.31.0.1",
            "192.168.0.1",
        ),
        *("192.0.0.8", "198.18.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255", "::", "::1", "fe80::1", "fec0::1"),
        *(
            "fc00::1",
            "fd4c::1",
            "fd52::1",
            "fd53::1",
            "fd00:ec2::254",
            "ff02::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
        ),
        *("64:ff9b::a00:1", "64:ff9b:1::1", "2002:7f00:1::", "2001::1", "::127.0.0.1", "100::1"),
    ],
)
def test_not_public(target: str) -> None:
    assert permits(target) is False


@pytest.mark.parametrize("target", ["1.1.1.1", "203.0.113.1", "2606:4700::1", "2001:db8::1", "64:ff9b::101:101"])
def test_public(target: str) -> None:
    assert permits(target) is None


def test_all_of_ipv4_is_judged() -> None:
    """Against the standard library's register, which counts documentation as private, too."""
    for first in range(256):
        address = ip_address(f"{first}.0.7.1")
        assert is_public(address) == (address.is_global and not address.is_multicast)


def test_lists() -> None:
    assert permits("192.168.1.7", 80, allow=("192.168.1.7:80,443",)) is True
    assert permits("192.168.1.7", 81, allow=("192.168.1.7:80,443",)) is False
    assert permits("1.1.1.1", 25, deny=("*:25",)) is False
    assert permits("2606:4700::1", 25, deny=("*:20-30",)) is False
    assert permits("1.1.1.1", 80, deny=("*:25",)) is None
    assert permits("1.1.1.1", 443, allow=("*:443",), deny=("*",)) is True
    assert permits("1.1.1.1", 80, allow=("*:443",), deny=("*",)) is False
    assert permits("fd12::1", 8080, allow=("[fd12::]/16:8000-8100",)) is True
    assert permits("fd12::1", 80, allow=("fd12::/16",)) is True


@pytest.mark.parametrize(
    "text", ["", "10.0.0.1/8", "*:", "*:0", "*:9-1", "*:70000", "a.example:80", "[::1", "10.0.0.0/8:80:90", "*/8"]
)
def test_what_is_no_rule(text: str) -> None:
    with pytest.raises(SettingsError, match=r"s.yaml:2: .*expected a network with ports"):
        parse_settings(f'# a comment\nallow: ["{text}"]\n', Config, "s.yaml")


def test_settings_are_read() -> None:
    text = "port: 1081\nlabels: [country=de]\nallow: ['10.0.0.0/8:80']\nlimits: {per_client: 5}\n"
    config = parse_settings(text, Config, "s.yaml")
    assert (config.port, config.limits.per_client, config.allow[0].ports) == (1081, 5, ((80, 80),))
    with pytest.raises(SettingsError, match=r"s.yaml:1: .*limits"):
        parse_settings("limits: {per_second: 0}", Config, "s.yaml")
