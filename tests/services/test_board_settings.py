"""The settings that the image ships are what its programs read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from services.manager.config import load_config as load_manager
from services.messenger.config import read_config as load_messenger
from services.node.config import load_config as load_node
from services.socks.client.config import load_config as load_socks_client
from services.socks.server.config import load_config as load_socks_server
from services.vpn.client.config import load_config as load_vpn_client
from services.vpn.server.config import load_config as load_vpn_server

BOARD = Path(__file__).parents[2] / "rootfs_overlay/usr/lib/skywire"
NOT_THERE = Path("/nonexistent/of-a-person.yaml")
READERS: dict[str, Callable[[Path, Path], object]] = {
    "manager": load_manager,
    "node": load_node,
    "socks-client": load_socks_client,
    "socks-server": load_socks_server,
    "vpn-client": load_vpn_client,
    "vpn-server": load_vpn_server,
}


@pytest.mark.parametrize("program", READERS)
def test_the_boards_settings_are_read(program: str) -> None:
    assert READERS[program](NOT_THERE, BOARD / f"{program}.yaml") is not None


def test_an_operator_over_ssh_is_not_locked_out_by_the_kill_switch() -> None:
    assert load_vpn_client(NOT_THERE, BOARD / "vpn-client.yaml").reachable == ("tcp/22",)


def test_the_node_knows_whom_it_serves() -> None:
    node = load_node(NOT_THERE, BOARD / "node.yaml")
    assert node.tunnel_users == ("skywire-vpn",)
    assert node.key_users == {"messenger": ("skywire-messenger",)}


def test_the_messenger_is_reached_by_a_group_that_the_image_makes(tmp_path: Path) -> None:
    text = (BOARD / "messenger.yaml").read_text()
    assert "g skywire-messages " in (BOARD.parents[1] / "lib/sysusers.d/skywire.conf").read_text()
    here = text.replace("group: skywire-messages", "group: root").replace("[skywire]", "[root]")
    (tmp_path / "messenger.yaml").write_text(here)
    messenger = load_messenger(NOT_THERE, tmp_path / "messenger.yaml")
    assert messenger.socket == Path("/run/skywire/messenger/messenger.sock")
    assert messenger.topics == {"peering": frozenset({0})}
