"""What ours is measured against, each set up as its own documentation says, along a row of hosts that know only their
neighbours; nothing is tuned down, and nothing of ours is involved.
"""

from __future__ import annotations

import json
from pathlib import Path

from tests.benches.mesh.ground import Ground, at, await_answer
from tests.laboratory.errors import CommandError
from tests.laboratory.host import Host

YGGDRASIL_PORT = 9001
TINC_NET = "10.99.0"
TINC_UP = """#!/bin/sh
ip link set "$INTERFACE" up
ip addr add {address}/32 dev "$INTERFACE"
ip route add {net}.0/24 dev "$INTERFACE"
"""
WG_PORT = 51830
WG_MTU = 1420


def build_yggdrasil(ground: Ground, row: str, scheme: str) -> str:
    """`scheme` is tcp or tls. Each host dials the one before it; the default configuration otherwise, without the
    search for neighbours by multicast. Returns the last host's address.
    """
    hosts = ground.row(row)
    addresses = [
        _start_yggdrasil(host, hosts[place - 1] if place else None, scheme) for place, host in enumerate(hosts)
    ]
    for address in addresses[1:]:
        await_answer(hosts[0], address)
    return addresses[-1]


def _start_yggdrasil(host: Host, before: Host | None, scheme: str) -> str:
    config = json.loads(host.run(["yggdrasil", "-genconf", "-json"]).stdout)
    config |= {
        "Listen": [f"{scheme}://0.0.0.0:{YGGDRASIL_PORT}"],
        "Peers": [f"{scheme}://{at(before, host)}:{YGGDRASIL_PORT}"] if before else [],
        "MulticastInterfaces": [],
        "AdminListen": "none",
        "IfName": "ygg0",
    }
    file = host.folder / "yggdrasil.json"
    file.write_text(json.dumps(config))
    file.chmod(0o600)
    host.start(["yggdrasil", "-useconffile", str(file)], name="yggdrasil")
    return host.run(["yggdrasil", "-useconffile", str(file), "-address"]).stdout.strip()


def build_tinc(ground: Ground, row: str) -> str:
    """tinc 1.0 with its own defaults; packets go by UDP from neighbour to neighbour, since nobody reaches further."""
    hosts = ground.row(row)
    keys = [_make_tinc(host, place) for place, host in enumerate(hosts)]
    for place, host in enumerate(hosts):
        for other, key in enumerate(keys):
            where = f"Address = {at(hosts[other], host)}\n" if abs(other - place) == 1 else ""
            subnet = f"Subnet = {TINC_NET}.{other + 1}/32\n"
            (host.folder / "tinc/hosts" / f"host{other}").write_text(where + subnet + key)
        words = ["tincd", "-D", "-c", str(host.folder / "tinc"), f"--pidfile={host.folder}/tinc.pid"]
        host.start(words, name="tincd")
    target = f"{TINC_NET}.{len(hosts)}"
    await_answer(hosts[0], target)
    return target


def _make_tinc(host: Host, place: int) -> str:
    """Its folder with a new key; returns the public one."""
    folder = host.folder / "tinc"
    (folder / "hosts").mkdir(parents=True)
    dial = f"ConnectTo = host{place - 1}\n" if place else ""
    (folder / "tinc.conf").write_text(f"Name = host{place}\nInterface = tinc0\nAddressFamily = ipv4\n{dial}")
    up = folder / "tinc-up"
    up.write_text(TINC_UP.format(address=f"{TINC_NET}.{place + 1}", net=TINC_NET))
    up.chmod(0o755)
    host.run(["tincd", "-c", str(folder), "-K2048"])
    return (folder / "hosts" / f"host{place}").read_text()


def build_wireguard(ground: Ground, row: str, *, in_kernel: bool = False) -> str:
    """Two hosts, one hop, set up by hand with `wg`."""
    hosts = ground.row(row)
    keys = [host.run(["wg", "genkey"]).stdout.strip() for host in hosts]
    for place, host in enumerate(hosts):
        other = hosts[1 - place]
        public = host.run(["wg", "pubkey"], given=keys[1 - place]).stdout.strip()
        host.run(["ip", "link", "add", "wg0", "type", "wireguard"] if in_kernel else ["wireguard-go", "wg0"])
        secret = Path(host.folder, "wg0.key")
        secret.touch(mode=0o600)
        secret.write_text(keys[place])
        peer = ["peer", public, "allowed-ips", "::/0", "endpoint", f"{at(other, host)}:{WG_PORT}"]
        host.run(["wg", "set", "wg0", "listen-port", str(WG_PORT), "private-key", str(secret), *peer])
        host.run(["ip", "address", "add", f"fd99::{place + 1}/64", "dev", "wg0", "nodad"])
        host.run(["ip", "link", "set", "wg0", "up", "mtu", str(WG_MTU)])
    await_answer(hosts[0], "fd99::2")
    return "fd99::2"


def has_kernel_wireguard(host: Host) -> bool:
    try:
        host.run(["ip", "link", "add", "wg-probe", "type", "wireguard"])
    except CommandError:
        return False
    host.run(["ip", "link", "delete", "wg-probe"])
    return True
