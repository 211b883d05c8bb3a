"""The nftables table `inet skywire_kill` as text, pure. It lives in the kernel by itself: a program that ends, crashes
or starts again changes nothing of it, and loading it is one transaction, so there is no moment without it.

passes   out of this machine go: loopback and the mesh's own interfaces; packets with the node's mark (tunnels, joins);
         what an address needs (neighbours, routers, DHCP); what was told; the rest is refused and counted
forward  of what neighbours send through this machine only that which enters the mesh
leaving  the same again where a packet really leaves: others may have sent it another way after `output` saw it
portal   programs with a group id of the set, for as long as the kernel keeps it there, go past all of it

ARP is not of this family and always passes. Group membership reports (MLD, IGMP) do not.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Network
from string import Template

import msgspec

from services.node.own import FWMARK

FAMILY, NAME, MARK = "inet", "skywire_kill", "rules_"
PORTALS, BLOCKED = "portals", "blocked"

IpNetwork = IPv4Network | IPv6Network


class Exceptions(msgspec.Struct, frozen=True):
    """What may pass beside the tunnel. `open_networks` are reached on the uplink, but for resolvers there; `wires` are
    the networks of the node's wires (VXLAN carries no mark); `gateways` the interfaces of the neighbours that are
    served; `reachable` the ports (protocol, number) whose answers may leave. `held`: where there are some, only these
    networks are kept in. `holds_dns`: no resolver beside the tunnel is asked.
    """

    open_networks: tuple[IpNetwork, ...] = ()
    wires: tuple[IpNetwork, ...] = ()
    gateways: tuple[str, ...] = ()
    reachable: tuple[tuple[str, int], ...] = ()
    held: tuple[IpNetwork, ...] = ()
    holds_dns: bool = True


class Rules(msgspec.Struct, frozen=True):
    """`mark` is the same for the same text: a chain of that name shows which rules are loaded."""

    mark: str
    text: str


def rules(told: Exceptions) -> Rules:
    body = TEXT.substitute(
        fwmark=hex(FWMARK),
        open4=_elements(told.open_networks, 4),
        open6=_elements(told.open_networks, 6),
        wires4=_elements(told.wires, 4),
        wires6=_elements(told.wires, 6),
        held4=_elements(told.held, 4),
        held6=_elements(told.held, 6),
        gateways_out=_lines(f'oifname "{name}" accept' for name in told.gateways),
        reachable=_lines(
            f"ct direction reply ct state established {protocol} sport {port} accept"
            for protocol, port in told.reachable
        ),
        dns=f"{DNS} return" if told.holds_dns else "",
        rest=_rest(told, REFUSED),
        last=_rest(told, DROPPED),
    )
    mark = hashlib.blake2b(body.encode(), digest_size=8).hexdigest()
    return Rules(mark, f"table {FAMILY} {NAME} {{}}\ndelete table {FAMILY} {NAME}\n{body.replace('MARK', MARK + mark)}")


def _elements(networks: Iterable[IpNetwork], version: int) -> str:
    found = sorted(str(network) for network in networks if network.version == version)
    return f"elements = {{ {', '.join(found)} }}" if found else ""


def _lines(lines: Iterable[str]) -> str:
    return "\n    ".join(lines)


DNS = "meta l4proto { tcp, udp } th dport { 53, 853 }"
REFUSED, DROPPED = "goto refused", "counter name blocked drop"
"""The second where no answer can be given any more."""


def _rest(told: Exceptions, verdict: str) -> str:
    """What becomes of packets that nothing has let pass."""
    if not told.held:
        return verdict
    resolvers = [f"{DNS} {verdict}"] if told.holds_dns else []
    return _lines([*resolvers, f"ip daddr @held4 {verdict}", f"ip6 daddr @held6 {verdict}"])


TEXT = Template("""\
table inet skywire_kill {
  counter blocked {}
  set portals { typeof meta skgid; flags timeout; }
  set open4 { type ipv4_addr; flags interval; auto-merge; $open4 }
  set open6 { type ipv6_addr; flags interval; auto-merge; $open6 }
  set wires4 { type ipv4_addr; flags interval; auto-merge; $wires4 }
  set wires6 { type ipv6_addr; flags interval; auto-merge; $wires6 }
  set held4 { type ipv4_addr; flags interval; auto-merge; $held4 }
  set held6 { type ipv6_addr; flags interval; auto-merge; $held6 }
  chain MARK {}
  chain portal {
    type route hook output priority mangle; policy accept;
    meta skgid @portals meta mark set $fwmark
  }
  chain portal_source {
    type nat hook postrouting priority srcnat; policy accept;
    oifname "lo" accept
    oifname "sky*" accept
    meta skgid @portals masquerade
  }
  chain output {
    type filter hook output priority filter; policy accept;
    ct status dnat accept
    jump passes
    $rest
  }
  chain forward {
    type filter hook forward priority filter; policy accept;
    oifname "sky0" accept
    oifname "sky-*" accept
    $gateways_out
    jump beside
    $rest
  }
  chain leaving {
    type filter hook postrouting priority 300; policy accept;
    jump passes
    $last
  }
  chain passes {
    oifname "lo" accept
    oifname "sky0" accept
    oifname "sky-*" accept
    meta mark $fwmark accept
    icmpv6 type { nd-router-solicit, nd-neighbor-solicit, nd-neighbor-advert } ip6 hoplimit 255 accept
    udp sport 68 udp dport 67 accept
    udp sport 546 udp dport 547 accept
    udp dport 4789 @th,96,1 1 ip daddr @wires4 accept
    udp dport 4789 @th,96,1 1 ip6 daddr @wires6 accept
    $gateways_out
    $reachable
    jump beside
  }
  chain beside {
    $dns
    ip daddr @open4 accept
    ip6 daddr @open6 accept
  }
  chain refused {
    counter name blocked
    reject with icmpx admin-prohibited
  }
}
""")
