"""The services between two sites, as people use them: eight boards behind a NAT router each, a laptop at the one, and a
web server that only the other reaches.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.mesh.beyond import megabytes
from tests.mesh.conftest import check_lab
from tests.mesh.two_sites import EXIT, LAPTOP, NAME, WEB4, WEB6, Sites, run_sites

PROXY = "127.0.0.1:1080"
SOCKS = ("--socks5-hostname", PROXY)
WEST = ("192.168.2.3", "2a01:4f8:2::3")
"""As whom the exit goes out."""

MEGABYTES = 6


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


def start_socks(sites: Sites) -> str:
    """Both by viscript; the laptop's client is the default one, at 127.0.0.1:1080."""
    sites.start(EXIT, "meshnet-socks-server", {"labels": ["country=de"]})
    choice = {"servers": [EXIT], "country": "de", "policy": sites.past_the_manager()}
    sites.start(LAPTOP, "meshnet-socks-client", {"choice": choice})
    sites.world.wait(lambda: sites.curl(*SOCKS, f"http://{NAME}/", check=False) in WEST, "SOCKS carries", 60, 0.5)
    return f"curl through SOCKS to {NAME}, which the server resolves: seen there as {sites.came()[-1]}"


def curl_through_socks(sites: Sites) -> str:
    """A name that nobody on the laptop's side can resolve, and both families."""
    for url, seen in ((f"http://{WEB4}/", WEST[0]), (f"http://[{WEB6}]/", WEST[1])):
        assert sites.curl("--socks5", PROXY, url) == seen
    assert sites.curl("--proxy", f"http://{PROXY}", "--proxytunnel", f"http://{NAME}/") in WEST
    refused = sites.curl(*SOCKS, "http://192.168.2.4/", check=False)
    assert refused.startswith("curl: 97"), refused
    return f"--socks5 IPv4 and IPv6, --proxy CONNECT; a private address of the exit's LAN: {refused}"


def relay_dies_under_a_download(sites: Sites, words: tuple[str, ...] = ()) -> str:
    """The whole relay loses power while a download goes over it; it is whole all the same."""
    sites.world.wait(lambda: sites.world.standbys(LAPTOP, EXIT), "there is a second way")
    way = sites.world.path(LAPTOP, EXIT)
    relay = way[1]
    command = ["curl", "-sS", "--max-time", "60", "--limit-rate", "1500k", "-o", "download"]
    download = sites.laptop.start([*command, *words, f"http://{WEB4}/bytes/{MEGABYTES}"], name="download")
    file = sites.laptop.folder / "download"
    sites.world.wait(lambda: file.exists() and file.stat().st_size > 500_000, "the download runs", 20)
    begin = time.monotonic()
    sites.world.host(relay).power_off()
    code = download.wait(60)
    assert code == 0, download.log.read_text()
    assert file.read_bytes() == megabytes(MEGABYTES)
    took, now = time.monotonic() - begin, sites.world.path(LAPTOP, EXIT)
    file.unlink()
    sites.world.host(relay).power_on()
    assert relay not in now, now
    return f"{MEGABYTES} MB over {'-'.join(way)}, '{relay}' off: whole {took:.1f} s later, over {'-'.join(now)}"


def test_only_the_west_reaches_the_web_server(sites: Sites) -> None:
    only_the_west_reaches_it(sites)


def test_socks(sites: Sites) -> None:
    start_socks(sites)
    curl_through_socks(sites)
    relay_dies_under_a_download(sites, SOCKS)
