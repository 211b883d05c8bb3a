"""The rows of the services between two sites: each a scene of `tests/mesh/test_services.py`, in one network."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from subprocess import SubprocessError

from services.errors import IdentityError
from services.manager.errors import ManagerError
from services.node.errors import NodeError
from tests.boot.rows import Row
from tests.laboratory.errors import LabError
from tests.mesh import test_services as scenes
from tests.mesh.two_sites import Sites, run_sites

TROUBLES = (AssertionError, NodeError, ManagerError, LabError, IdentityError, SubprocessError, OSError, ValueError)

SCENES: dict[str, Callable[[Sites], str]] = {
    "a web server beyond the west is reached from there, and not from the laptop": scenes.only_the_west_reaches_it,
    "curl through SOCKS: the name is resolved at the exit": scenes.start_socks,
    "curl: SOCKS5 to IPv4 and IPv6, HTTP CONNECT; a private address is refused": scenes.curl_through_socks,
    "a name server beyond is asked by UDP through SOCKS": scenes.udp_through_socks,
    "the app tracker shows the SOCKS server of the other site, by type": scenes.directory_shows_it,
    "a download through SOCKS is whole though its relay lost power": partial(
        scenes.relay_dies_under_a_download, words=scenes.SOCKS
    ),
    "messengers find each other by name, and a message is delivered": scenes.start_messengers,
    "messages and a file arrive whole, in order, once, though a relay lost power": scenes.relay_dies_under_a_talk,
    "a whole VPN through a board of the west": scenes.start_vpn,
    "curl without a proxy comes out at the west, by IPv4, IPv6 and name": scenes.everything_goes_through,
    "a download through the VPN is whole though its relay lost power": scenes.relay_dies_under_a_download,
    "nothing leaked": scenes.nothing_leaked,
    "the client ended: nothing leaves; off by command: everything does": scenes.held_without_the_client,
    "the same as an ordinary user with CAP_NET_ADMIN, as on a board": scenes.vpn_without_root,
}


def rows() -> Iterator[Row]:
    with tempfile.TemporaryDirectory(prefix="skywire-prove-") as scratch, run_sites(Path(scratch, "lab")) as sites:
        for claim, scene in SCENES.items():
            yield _row(claim, scene, sites)


def _row(claim: str, scene: Callable[[Sites], str], sites: Sites) -> Row:
    try:
        return Row(claim, scene(sites), True)
    except TROUBLES as error:
        return Row(claim, f"{type(error).__name__}: {error}", False)
