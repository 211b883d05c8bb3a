"""The services between two sites, as people use them: eight boards behind a NAT router each, a laptop at the one, and a
web server that only the other reaches.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.mesh.conftest import check_lab
from tests.mesh.two_sites import EXIT, NAME, WEB4, WEB6, Sites, run_sites


@pytest.fixture(scope="module")
def sites(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sites]:
    check_lab()
    with run_sites(tmp_path_factory.mktemp("sites") / "lab") as made:
        yield made


def only_the_west_reaches_it(sites: Sites) -> str:
    west = [sites.curl(url, at=EXIT) for url in (f"http://{WEB4}/", f"http://[{WEB6}]/", f"http://{NAME}/")]
    assert west[:2] == ["192.168.2.3", "2a01:4f8:2::3"], west
    assert west[2] in west[:2]
    east = [sites.curl(url, within_s=2, check=False) for url in (f"http://{WEB4}/", f"http://[{WEB6}]/")]
    assert all(said.startswith("curl: ") for said in east), east
    return f"from a board of the west: {', '.join(west)}; from the laptop: {east[0]}"


def test_only_the_west_reaches_the_web_server(sites: Sites) -> None:
    only_the_west_reaches_it(sites)
