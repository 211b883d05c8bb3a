"""A machine's own addresses, as a real kernel lists them, in a namespace."""

from __future__ import annotations

import sys

from tests.services.kernel.conftest import MakeHost
from tests.services.kernel.hosts import ROOT

LIST = "from services.node.underlay import own_addresses\nprint(*own_addresses())"
ADDRESSES = {
    "cable": ("169.254.3.1/16 scope link", "fe80::5/64"),
    "lan": ("192.168.7.1/24", "fd00:7::1/64", "198.51.100.9/24 scope link", "10.9.0.1/24 scope host"),
    "wan": ("8.8.4.4/24", "2600::1/64"),
}


def test_the_best_come_first_and_link_local_ones_last(make_host: MakeHost) -> None:
    """What is of a link by its scope alone is no address of that kind; IPv6's would need their interface."""
    host = make_host("many")
    for device, addresses in ADDRESSES.items():
        host.run("ip", "link", "add", device, "type", "veth", "peer", f"{device}-end")
        for end in (device, f"{device}-end"):
            host.run("ip", "link", "set", end, "addrgenmode", "none", "up")
        for address in addresses:
            host.run("ip", "address", "add", *address.split(), "dev", device, *(("nodad",) if ":" in address else ()))
    said = host.run("env", f"--chdir={ROOT}", sys.executable, "-c", LIST)
    assert said.split() == [
        "8.8.4.4/24",
        "192.168.7.1/24",
        "2600::1/64",
        "fd00:7::1/64",
        "169.254.3.1/16",
    ]
