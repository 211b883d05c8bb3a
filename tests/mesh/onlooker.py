"""Who looks from outside at what a host sends: counters at the switch's end of its cable, where nothing that the host
does has any say. Left out are ARP, neighbour and router discovery, DHCP, and what belongs to the mesh.
"""

from __future__ import annotations

import json
from typing import Any

from tests.laboratory import machine
from tests.laboratory.lab import Lab

PLACES = """table netdev onlooker {{
  counter mesh {{}}
  counter beside {{}}
  set where4 {{ typeof ip daddr . meta l4proto . th dport; flags dynamic; size 4096; }}
  set where6 {{ typeof ip6 daddr . meta l4proto . th dport; flags dynamic; size 4096; }}
  chain from-host {{
    type filter hook ingress device "{host}" priority -400;
    ether type arp return
    icmpv6 type {{ nd-router-solicit, nd-neighbor-solicit, nd-neighbor-advert }} return
    udp dport 67 return
    udp dport 547 return
    udp dport {{ 51820, 51821, 51822 }} counter name mesh return
    udp sport {{ 51820, 51821, 51822 }} counter name mesh return
    tcp dport 7997 counter name mesh return
    counter name beside
    update @where4 {{ ip daddr . meta l4proto . th dport }}
    update @where6 {{ ip6 daddr . meta l4proto . th dport }}
  }}
}}
"""


class Onlooker:
    """`host` at `switch`; from the moment when it is made."""

    def __init__(self, lab: Lab, switch: str, host: str) -> None:
        self._place = lab.namespace(switch)
        machine.nft(PLACES.format(host=host), self._place)

    def beside(self) -> int:
        """Packets that were none of the mesh's."""
        return self._packets("beside")

    def mesh(self) -> int:
        return self._packets("mesh")

    def where(self) -> list[str]:
        """To whom those went, whose transport has ports."""
        found = []
        for entry in self._listed():
            for element in entry.get("set", {}).get("elem", []):
                value = element["elem"]["val"] if "elem" in element else element
                found.append(" ".join(map(str, value["concat"])))
        return found

    def start_anew(self) -> None:
        machine.nft(
            "reset counters table netdev onlooker\n"
            "flush set netdev onlooker where4\nflush set netdev onlooker where6\n",
            self._place,
        )

    def _packets(self, name: str) -> int:
        return next(int(entry["counter"]["packets"]) for entry in self._listed() if _is_counter(entry, name))

    def _listed(self) -> list[dict[str, dict[str, Any]]]:
        listed = json.loads(machine.nft_json(self._place, "list", "table", "netdev", "onlooker"))["nftables"]
        return list(listed)


def _is_counter(entry: dict[str, dict[str, Any]], name: str) -> bool:
    return entry.get("counter", {}).get("name") == name
