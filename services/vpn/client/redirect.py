"""The nftables table `inet skywire_dns`, pure: whatever resolver a program or systemd-resolved means to ask, the
tunnel's is asked. For where no file may be changed: nothing is to be set back but the table, whatever DHCP writes.
"""

from __future__ import annotations

from collections.abc import Iterable
from string import Template

from services.node.own import FWMARK
from services.vpn.client.ways import IpAddress, Lent

FAMILY, NAME = "inet", "skywire_dns"


def redirect_text(resolvers: Iterable[IpAddress], lent: Lent) -> str:
    """Replaces the table in one transaction. What is asked leaves as the lease's address, whatever it was bound to."""
    found = {resolver.version: resolver for resolver in reversed(list(resolvers))}
    asked, sources = [], []
    for version, family in ((4, "ip"), (6, "ip6")):
        source = lent.ipv4 if version == 4 else lent.ipv6
        if version in found and source is not None:
            match = f"meta nfproto ipv{version}"
            asked.append(f"{match} meta l4proto {{ tcp, udp }} th dport 53 dnat {family} to {found[version]}")
            sources.append(f'{match} oifname "sky0" ct status dnat snat {family} to {source}')
    return TEXT.substitute(fwmark=hex(FWMARK), asked="\n    ".join(asked), sources="\n    ".join(sources))


def drop_text() -> str:
    return f"table {FAMILY} {NAME} {{}}\ndelete table {FAMILY} {NAME}\n"


TEXT = Template("""\
table inet skywire_dns {}
delete table inet skywire_dns
table inet skywire_dns {
  chain asked {
    type nat hook output priority -100; policy accept;
    oifname "lo" accept
    meta mark $fwmark accept
    $asked
  }
  chain source {
    type nat hook postrouting priority srcnat; policy accept;
    $sources
  }
}
""")
