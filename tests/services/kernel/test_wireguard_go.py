"""Which wireguard-go is known to send astray."""

from __future__ import annotations

import pytest

from services.kernel.wireguard_go import judge


@pytest.mark.parametrize(
    ("told", "is_flawed"),
    [
        ("wireguard-go v0.0.20220316\n\nUserspace WireGuard daemon for linux-amd64.", False),
        ("wireguard-go v0.0.20230223\n\nUserspace WireGuard daemon for linux-arm64.", True),
        ("wireguard-go v0.0.20250522", True),
        ("", False),
        ("something else v0.0.20230223", False),
    ],
)
def test_which_version_is_flawed(told: str, is_flawed: bool) -> None:
    assert bool(judge(told)) is is_flawed
