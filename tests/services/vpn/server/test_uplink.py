"""What /proc and resolv.conf tell of the ways out, and the switches that are put back as they were."""

from __future__ import annotations

from pathlib import Path

from services.node.kept import Kept
from services.vpn.server.forwarding import Switches, needed
from services.vpn.server.uplink import default_devices4, default_devices6, resolvers_of

ROUTES4 = """\
Iface	Destination	Gateway 	Flags	RefCnt	Use	Metric	Mask		MTU	Window	IRTT
eth0	00000000	0102000A	0003	0	0	0	00000000	0	0	0
wlan0	00000000	0105000A	0003	0	0	600	00000000	0	0	0
eth0	0002000A	00000000	0001	0	0	0	00FFFFFF	0	0	0
down0	00000000	0105000A	0002	0	0	600	00000000	0	0	0
*	00000000	00000000	0200	0	0	0	00000000	0	0	0
sky0	00000000	00000000	0001	0	0	0	00000000	0	0	0
half0	00000000	00000000	0001	0	0	0	00000080	0	0	0
"""
ZERO = "0" * 32
ROUTES6 = f"""\
20010db8000100000000000000000000 40 {ZERO} 00 {ZERO} 00000100 00000001 00000000 00000001     eth0
{ZERO} 00 {ZERO} 00 20010db8000100000000000000000002 00000400 00000001 00000000 00000003     eth1
{ZERO} 00 {ZERO} 00 {ZERO} ffffffff 00000001 00000000 00200200       lo
"""


def test_default_routes_are_found() -> None:
    assert default_devices4(ROUTES4) == ("eth0", "wlan0")
    assert default_devices6(ROUTES6) == ("eth1",)
    assert default_devices4("") == default_devices6("") == ()


def test_resolvers_that_a_client_can_be_led_to() -> None:
    lines = ("127.0.0.53", "192.168.1.1", " 2620:fe::fe", "fe80::1%eth0", "x", "")
    text = "# nameserver 1.1.1.1\nsearch lan\n" + "\n".join(f"nameserver {line}" for line in lines)
    assert [str(one) for one in resolvers_of(text)] == ["192.168.1.1", "2620:fe::fe"]


def test_switches_are_put_back(tmp_path: Path) -> None:
    net, ram = tmp_path / "net", tmp_path / "ram"
    values = {"ipv4/conf/eth0/forwarding": "0", "ipv4/conf/eth1/forwarding": "1", "ipv4/conf/sky0/forwarding": "0"}
    for name, value in values.items():
        (net / name).parent.mkdir(parents=True)
        (net / name).write_text(value)

    def now() -> dict[str, str]:
        return {name: (net / name).read_text() for name in values}

    Switches(Kept(ram), net).turn(needed(["eth0", "eth1", "sky0", "gone0"], ["eth0"]))
    assert set(now().values()) == {"1"}
    Switches(Kept(ram), net).turn(needed(["eth1", "sky0"], []))
    assert now() == {**values, "ipv4/conf/sky0/forwarding": "1"}
    Switches(Kept(ram), net).turn(set())
    assert now() == values
