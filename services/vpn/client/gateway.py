"""The nftables table `inet skywire_gateway`, pure: what the neighbours of a gateway get besides being forwarded. Their
packets leave as the lease's addresses, their questions to any resolver go to the tunnel's, and their TCP is told how
long its segments may be, since nothing on their side knows the tunnel.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address
from string import Template

FAMILY, NAME = "inet", "skywire_gateway"
IPV4_AND_TCP, IPV6_AND_TCP = 40, 60

IpAddress = IPv4Address | IPv6Address


def gateway_text(
    gateways: Iterable[str], ipv4: IPv4Address, ipv6: IPv6Address | None, dns: Iterable[IpAddress], mtu: int
) -> str:
    """Replaces the table in one transaction."""
    resolvers = list(dns)
    names = ", ".join(f'"{name}"' for name in gateways)
    return TEXT.substitute(
        names=names,
        dns4=_to_resolver(resolvers, 4),
        dns6=_to_resolver(resolvers, 6),
        ipv4=ipv4,
        source6=f'oifname "sky0" iifname $neighbours meta nfproto ipv6 snat ip6 to {ipv6}' if ipv6 else "",
        most4=mtu - IPV4_AND_TCP,
        most6=mtu - IPV6_AND_TCP,
    )


def drop_text() -> str:
    return f"table {FAMILY} {NAME} {{}}\ndelete table {FAMILY} {NAME}\n"


def _to_resolver(resolvers: Iterable[IpAddress], version: int) -> str:
    first = next((address for address in resolvers if address.version == version), None)
    if first is None:
        return ""
    family = "ip" if version == 4 else "ip6"
    nfproto = "ipv4" if version == 4 else "ipv6"
    asked = f"iifname $neighbours meta nfproto {nfproto} meta l4proto {{ tcp, udp }} th dport 53"
    return f"{asked} dnat {family} to {first}"


TEXT = Template("""\
define neighbours = { $names }
table inet skywire_gateway {}
delete table inet skywire_gateway
table inet skywire_gateway {
  chain resolver {
    type nat hook prerouting priority dstnat; policy accept;
    $dns4
    $dns6
  }
  chain source {
    type nat hook postrouting priority srcnat; policy accept;
    iifname $$neighbours oifname "sky0" meta nfproto ipv4 snat ip to $ipv4
    $source6
  }
  chain segments {
    type filter hook forward priority mangle; policy accept;
    iifname $$neighbours oifname "sky0" tcp flags syn jump shorten
    iifname "sky0" oifname $$neighbours tcp flags syn jump shorten
  }
  chain shorten {
    meta nfproto ipv4 tcp option maxseg size set $most4
    meta nfproto ipv6 tcp option maxseg size set $most6
  }
}
""")
