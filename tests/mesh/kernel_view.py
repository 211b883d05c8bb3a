"""What the kernel of a host shows to whoever looks: counters of nftables, figures of WireGuard, its raw socket. The
node's own words are not believed here.
"""

from __future__ import annotations

import json
import socket
from dataclasses import dataclass

from tests.laboratory.host import Host

Direction = tuple[str, str]
"""Source and destination of a route's packets."""


@dataclass(frozen=True, slots=True)
class Passed:
    packets: int
    bytes: int

    @property
    def payload(self) -> int:
        """Of the outer packets: each has 40 bytes of IPv6 and 8 of UDP."""
        return self.bytes - 48 * self.packets


def dropped(host: Host) -> dict[str, int]:
    """Packets by the name of the counter that the rules have for them."""
    listed = json.loads(host.run(["nft", "-j", "list", "counters", "table", "inet", "skywire"]).stdout)["nftables"]
    return {entry["counter"]["name"]: entry["counter"]["packets"] for entry in listed if "counter" in entry}


def passed(host: Host) -> dict[Direction, Passed]:
    """What a hop forwarded, by route and direction."""
    listed = json.loads(host.run(["nft", "-j", "list", "set", "inet", "skywire", "pairs"]).stdout)["nftables"]
    elements = next(entry["set"] for entry in listed if "set" in entry).get("elem", [])
    found = {}
    for element in elements:
        value, counter = element["elem"]["val"]["concat"], element["elem"]["counter"]
        found[value[1], value[2]] = Passed(counter["packets"], counter["bytes"])
    return found


def transfer(host: Host, device: str, key: bytes) -> tuple[int, int]:
    """Bytes received from and sent to a WireGuard peer."""
    told = _uapi(host, device, "get=1\n\n")
    peer = told.partition(f"public_key={key.hex()}\n")[2].partition("public_key=")[0]
    figures = dict(line.split("=", 1) for line in peer.splitlines() if "=" in line)
    return int(figures.get("rx_bytes", "0")), int(figures.get("tx_bytes", "0"))


def peers(host: Host, device: str) -> set[str]:
    """The public keys that a WireGuard device knows, in hex."""
    told = _uapi(host, device, "get=1\n\n")
    return {line.partition("=")[2] for line in told.splitlines() if line.startswith("public_key=")}


def give(host: Host, device: str, key: bytes, network: str) -> None:
    """A peer gets an allowed IP, whoever had it; as root on that host can."""
    told = _uapi(host, device, f"set=1\npublic_key={key.hex()}\nupdate_only=true\nallowed_ip={network}\n\n")
    assert "errno=0" in told, told


def _uapi(host: Host, device: str, words: str) -> str:
    with socket.socket(socket.AF_UNIX) as door:
        door.settimeout(20)
        door.connect(str(host.outside(f"/run/wireguard/{device}.sock")))
        door.sendall(words.encode())
        told = b""
        while not told.endswith(b"\n\n"):
            more = door.recv(1 << 16)
            assert more, f"'{host.name}' says no more of {device} than {told!r}"
            told += more
    return told.decode()
