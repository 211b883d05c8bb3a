"""vpn-server.yaml: everything has a default, and what cannot be is told with its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.errors import SettingsError
from services.settings_file import parse_settings
from services.vpn.server.config import Config, load_config


def test_everything_has_a_default() -> None:
    config = parse_settings("", Config, "f")
    assert (config.pool, config.port, config.quota_bytes) == ("100.64.0.0/22", 4443, None)


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("pool: 100.64.0.0/8", r"f:1: key 'pool': expected an IPv4 network such as"),
        ("pool: 100.64.0.0/30", "from /16 to /29"),
        ("pool: fd00::/64", "an IPv4 network"),
        ("resolvers: [127.0.0.53]", "no address of this machine alone"),
        ("resolvers: [dns.lan]", "the address of a resolver"),
        ("allow: [lan]", "expected a network"),
        ("rate_mbit: 0", "key 'rate_mbit'"),
        ("clients: 100000", "key 'clients'"),
        ("quota: 5", "unknown key 'quota'"),
    ],
)
def test_what_cannot_be_is_told(line: str, why: str) -> None:
    with pytest.raises(SettingsError, match=why):
        parse_settings(line, Config, "f")


def test_a_file_lies_over_the_defaults(tmp_path: Path) -> None:
    own, under = tmp_path / "own.yaml", tmp_path / "under.yaml"
    under.write_text("rate_mbit: 10\nclients: 5\n")
    own.write_text("rate_mbit: 50\nquota_mb: 1.5\n")
    config = load_config(own, under)
    assert (config.rate_mbit, config.clients, config.quota_bytes) == (50, 5, 1_500_000)
