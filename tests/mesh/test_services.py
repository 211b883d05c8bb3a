"""The services between two sites, as people use them: eight boards behind a NAT router each, a laptop at the one, and a
web server that only the other reaches.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import pytest

from tests.laboratory.host import TREE
from tests.laboratory.model import By, Ready
from tests.mesh.beyond import megabytes
from tests.mesh.conftest import check_lab
from tests.mesh.talk import Person
from tests.mesh.two_sites import EXIT, FRIEND, LAPTOP, NAME, WEB4, WEB6, Sites, run_sites

PROXY, TRACKER = "127.0.0.1:1080", "127.0.0.1:20000"
SOCKS = ("--socks5-hostname", PROXY)
WEST = ("192.168.2.3", "2a01:4f8:2::3")
"""As whom the exit goes out."""

LET_NOBODY = """
echo 'tunnel_users: [nobody]' >>node.yaml
mkdir -p /run/skywire/vpn-client && chown nobody /run/skywire/vpn-client && chmod 755 . .. /run/skywire
chmod 644 vpn-client.yaml /etc/resolv.conf
"""
POWERS = "=-all,+net_admin,+dac_read_search"
"""The second lets it read this machine's Python, wherever that is."""

AS_NOBODY = (
    *("setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", "--no-new-privs"),
    *(f"--{kind}{POWERS}" for kind in ("inh-caps", "ambient-caps", "bounding-set")),
)
NODE_ID = "2"
"""In viscript, which starts it first."""

MEGABYTES, FILE_MEGABYTES = 6, 8
TALK = 30
SLOW_BITS = 20_000_000
GATEWAY = "192.168.1.254"


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
    choice = {"servers": [EXIT], "country": "de", "policy": sites.past_the_manager}
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


def udp_through_socks(sites: Sites) -> str:
    """A question to the name server beyond, which nobody on the laptop's side reaches."""
    words = ["python", "-m", "tests.services.socks.dns_by_udp", "1080", WEB4, NAME]
    told = sites.laptop.run(words, PYTHONPATH=str(TREE)).stdout.strip()
    assert told == WEB4, told
    return f"{NAME} by UDP ASSOCIATE from {WEB4} port 53: {told}"


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


def directory_shows_it(sites: Sites) -> str:
    """A second program asks the app tracker, which asks the laptop's node, which asks the manager."""
    sites.start(LAPTOP, "apptracker", {})
    ask = ["apptracker", TRACKER, "--query", "--json", "--type", "socks"]
    (entry,) = json.loads(sites.laptop.run(ask).stdout)["entries"]
    there = sites.world.host(EXIT)
    assert entry["node_id"] == there.node_id
    assert entry["endpoint"] == f"[{there.session_address}]:1080"
    assert "country=de" in entry["labels"]
    return f"$ apptracker {TRACKER} --query --type socks: {entry['endpoint']}, {', '.join(entry['labels'])}"


def start_messengers(sites: Sites) -> str:
    for name in (LAPTOP, FRIEND):
        sites.start(name, "meshnet-messenger", {})
    sites.world.connect_once_offered(LAPTOP, FRIEND, "messenger", sites.past_the_manager)
    me = Person(sites.laptop)
    sites.laptop.run(["meshnet-messenger", "msg", "--wait", "40", FRIEND, "Hello", "from", "the", "laptop"])
    there = Person(sites.world.host(FRIEND)).texts_of_others(LAPTOP)
    assert there == ["Hello from the laptop"], there
    assert me.undelivered(FRIEND) == 0
    return f"$ meshnet-messenger msg --wait 40 {FRIEND} Hello from the laptop: there, {there}"


def relay_dies_under_a_talk(sites: Sites) -> str:
    """Messages both ways and a file of some megabytes, while the relay that carries them loses power."""
    me, other = Person(sites.laptop), Person(sites.world.host(FRIEND))
    way = sites.world.path(LAPTOP, FRIEND)
    data = megabytes(FILE_MEGABYTES)
    cable = sites.world.lab.cable(LAPTOP, "east")
    cable.rate(SLOW_BITS)  # so that the file takes its time
    me.send_file(FRIEND, "holiday.jpg", data)
    sites.world.wait(lambda: other.is_offered("holiday.jpg"), "the file is offered there", 20)
    other.accept("holiday.jpg")
    said: dict[str, list[str]] = {LAPTOP: [], FRIEND: []}
    for number in range(TALK):
        if number == TALK // 3:
            begin, file = time.monotonic(), other.file("holiday.jpg")
            assert file is not None
            assert 0 < file.done_bytes < file.size, file
            sites.world.host(way[1]).power_off()
        for person, whom in ((me, FRIEND), (other, LAPTOP)):
            text = f"{number} from {person.name}"
            person.send(whom, text)
            said[person.name].append(text)
        time.sleep(0.1)  # as people do
    sites.world.wait(lambda: not me.undelivered(FRIEND) and not other.undelivered(LAPTOP), "all of it is there", 40)
    took = time.monotonic() - begin
    sites.world.wait(lambda: (one := other.file("holiday.jpg")) and one.stage == "done", "the file is there", 40)
    cable.rate(0)
    now = sites.world.path(LAPTOP, FRIEND)
    sites.world.host(way[1]).power_on()
    assert other.texts_of_others(LAPTOP)[1:] == said[LAPTOP]
    assert me.texts_of_others(FRIEND) == said[FRIEND]
    assert other.fetch("holiday.jpg") == data
    assert way[1] not in now, now
    return (
        f"{TALK} messages each way and {FILE_MEGABYTES} MB over {'-'.join(way)}, '{way[1]}' off: all of it once, in "
        f"order, {took:.1f} s later, over {'-'.join(now)}"
    )


def start_vpn(sites: Sites) -> str:
    sites.start_once(EXIT, "meshnet-vpn-server", {})
    settings = {"servers": [EXIT], "policy": sites.past_the_manager}
    sites.vpn = sites.start(LAPTOP, "meshnet-vpn-client", settings)
    sites.world.wait(lambda: sites.vpn_status()["phase"] == "up", "the tunnel is up", 60, 0.3)
    sites.onlooker.start_anew()
    status = sites.vpn_status()
    return f"{status['summary']}; {status['ipv4']}, {status['ipv6']}, MTU {status['mtu']}"


def everything_goes_through(sites: Sites) -> str:
    seen = [sites.curl(url) for url in (f"http://{WEB4}/", f"http://[{WEB6}]/", f"http://{NAME}/")]
    assert tuple(seen[:2]) == WEST, seen
    assert seen[2] in WEST, seen
    sites.laptop.run(["ping", "-c3", "-i0.2", "-W2", WEB4])
    return f"curl to {WEB4}, {WEB6} and {NAME} without a proxy: seen there as {', '.join(seen)}; ping"


def nothing_leaked(sites: Sites) -> str:
    """Since the tunnel was up."""
    beside, mesh, where = sites.onlooker.beside(), sites.onlooker.mesh(), sites.onlooker.where()
    assert (beside, where) == (0, []), (beside, where)
    assert mesh > 200, mesh
    return f"at the switch: {mesh} packets of the laptop's were the mesh's, {beside} were not"


def held_without_the_client(sites: Sites) -> str:
    """What was off by command alone lets packets out as ever, which the onlooker then sees."""
    sites.stop(LAPTOP, sites.vpn)
    refused = sites.curl(f"http://{WEB4}/", within_s=2, check=False)
    assert refused.startswith("curl: "), refused
    pinged = sites.laptop.run(["ping", "-c2", "-i0.2", "-W1", GATEWAY], check=False)
    assert pinged.returncode != 0
    nothing_leaked(sites)
    said = sites.laptop.run(["meshnet-vpn-client", "off", "--config", "vpn-client.yaml"]).stdout.strip()
    sites.laptop.run(["ping", "-c1", "-W5", GATEWAY])
    assert sites.onlooker.beside() > 0
    resolvers = sites.laptop.run(["cat", "/etc/resolv.conf"]).stdout
    assert GATEWAY in resolvers, resolvers
    return f"client ended: {refused}; $ meshnet-vpn-client off -> {said}: packets leave, and the onlooker sees them"


def vpn_without_root(sites: Sites) -> str:
    """As on a board: an ordinary user with CAP_NET_ADMIN, who may not write resolv.conf: the kernel redirects."""
    sites.start_once(EXIT, "meshnet-vpn-server", {})
    sites.laptop.write({"vpn-client.yaml": f"servers: [{EXIT}]\n"})
    sites.laptop.run(["sh", "-c", LET_NOBODY])
    sites.laptop.run(["viscript", "restart", NODE_ID])
    sites.world.wait_joined(LAPTOP)
    words = [*AS_NOBODY, "meshnet-vpn-client", "run", "--config", "vpn-client.yaml"]
    client = sites.laptop.start(words, name="vpn-client", ready=Ready(By.NOTIFY))
    sites.world.wait(lambda: sites.vpn_status()["phase"] == "up", "the tunnel is up", 60, 0.3)
    sites.onlooker.start_anew()
    seen = sites.curl(f"http://{NAME}/")
    assert seen in WEST, seen
    resolvers = sites.laptop.run(["cat", "/etc/resolv.conf"]).stdout
    assert GATEWAY in resolvers, resolvers
    assert (sites.onlooker.beside(), sites.onlooker.where()) == (0, [])
    sites.laptop.run(["meshnet-vpn-client", "off", "--config", "vpn-client.yaml"])
    assert client.wait(20) == 0
    return f"as nobody with CAP_NET_ADMIN: {NAME} by the tunnel's resolver, seen there as {seen}; nothing beside"


def test_only_the_west_reaches_the_web_server(sites: Sites) -> None:
    only_the_west_reaches_it(sites)


def test_socks(sites: Sites) -> None:
    start_socks(sites)
    curl_through_socks(sites)
    udp_through_socks(sites)
    directory_shows_it(sites)
    relay_dies_under_a_download(sites, SOCKS)


def test_messages_and_a_file(sites: Sites) -> None:
    start_messengers(sites)
    relay_dies_under_a_talk(sites)


def test_vpn(sites: Sites) -> None:
    start_vpn(sites)
    everything_goes_through(sites)
    relay_dies_under_a_download(sites)
    nothing_leaked(sites)
    held_without_the_client(sites)


def test_vpn_without_root(sites: Sites) -> None:
    vpn_without_root(sites)
