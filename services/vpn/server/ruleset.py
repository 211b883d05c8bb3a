"""The nftables table `inet skywire_vpn` as text, pure: who is let out, where to, how fast and how much.

from_client  what a leased address sends: not to other clients, within rate and quota, not to places that are private
to_client    the answers: within the same
Packets of a client bear its number as their mark while they pass here, so its two addresses have one rate and quota,
and the mesh's table lets nothing out that has not passed here (`rules.EXIT_MARK`).
A rate's bucket holds what may pass in a second: the kernel's limit has no smaller one.
Packets that connection tracking does not know are dropped: they would leave with the client's own address.
A whole table replaces what there was in one transaction; clients come and go by themselves.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, collapse_addresses, ip_network
from string import Template

from services.kernel.rules import EXIT_MARK, MARK_MASK
from services.node.own import RELAYED_MTU
from services.vpn.server.leases import RESOLVER_NUMBER, Lease, address6, resolver4
from services.vpn.words import IpAddress, IpNetwork

NAME = "skywire_vpn"
MARK = EXIT_MARK
HEADERS4, HEADERS6 = 40, 60
"""Of IP and TCP: what a packet has besides the segment. A segment size is never raised by the kernel, only lowered."""

BEGUN_SHARE = 10
"""A client begins a tenth of its connections in a second at most."""

PRIVATE = tuple(
    map(
        ip_network,
        (
            "0.0.0.0/8",
            "10.0.0.0/8",
            "100.64.0.0/10",
            "127.0.0.0/8",
            "169.254.0.0/16",
            "172.16.0.0/12",
            "192.0.0.0/24",
            "192.168.0.0/16",
            "198.18.0.0/15",
            "224.0.0.0/3",
            "::/3",
            "2002::/16",
            "fc00::/7",
            "fe80::/9",
            "ff00::/8",
        ),
    )
)
"""Nowhere on the internet: private, link-local (with clouds' metadata), shared, and what leads to such by translation
(RFC 6890, 6052, 3056). Of IPv6 all below 2000:: is that.
"""

COUNTERS = ("forged", "blocked", "isolated", "untracked", "unasked", "over_rate", "over_quota", "too_many", "own")
"""What is dropped: sources that are not leased; places that are not allowed; between clients; without a connection;
not answers; beyond the client's rate; beyond its quota; beyond its connections; for this machine itself.
"""


@dataclass(frozen=True, slots=True)
class Client:
    """`used` of its quota, `sent` and `received` by it so far, (packets, bytes)."""

    lease: Lease
    used: int = 0
    sent: tuple[int, int] = (0, 0)
    received: tuple[int, int] = (0, 0)
    is_served: bool = True


@dataclass(frozen=True, slots=True)
class Policy:
    """`lan`: the networks that this machine is in. Of the resolvers the first of each kind is asked."""

    pools: tuple[IPv4Network, ...]
    network6: IPv6Network
    lan: tuple[IpNetwork, ...] = ()
    allow: tuple[IpNetwork, ...] = ()
    block: tuple[IpNetwork, ...] = ()
    resolvers: tuple[IpAddress, ...] = ()
    rate_mbit: float | None = None
    quota_bytes: int | None = None
    connections: int = 2000

    @property
    def blocked(self) -> tuple[IpNetwork, ...]:
        return (*PRIVATE, *self.lan, *self.block)

    def resolver(self, version: int) -> IpAddress | None:
        return next((one for one in self.resolvers if one.version == version), None)


def mark(number: int) -> str:
    return f"{MARK | number:#x}"


# all of it


def table(policy: Policy, clients: Iterable[Client], counted: Mapping[str, tuple[int, int]]) -> str:
    """In the place of whatever is there; `counted` by what was there."""
    body = TEXT.substitute(
        counters="\n".join(_counter(name, *counted.get(name, (0, 0))) for name in COUNTERS),
        pools=_listed(policy.pools),
        network6=policy.network6,
        allowed4=_elements(policy.allow, 4),
        allowed6=_elements(policy.allow, 6),
        blocked4=_elements(policy.blocked, 4),
        blocked6=_elements(policy.blocked, 6),
        mark=f"{MARK:#x}",
        mask=f"{MARK_MASK:#x}",
        flows=policy.connections,
        begun=max(1, policy.connections // BEGUN_SHARE),
        segment4=RELAYED_MTU - HEADERS4,
        segment6=RELAYED_MTU - HEADERS6,
        dns="\n".join(_dns(policy)),
    )
    lines = [line for client in clients for line in (*limits(policy, client), *_served(policy, client))]
    return "\n".join([f"table inet {NAME} {{}}", f"delete table inet {NAME}", body, *lines, ""])


def _counter(name: str, packets: int, octets: int) -> str:
    return f"  counter {name} {{ packets {packets} bytes {octets} }}"


def _served(policy: Policy, client: Client) -> list[str]:
    return serve(client.lease, policy.network6) if client.is_served else []


def _dns(policy: Policy) -> Iterator[str]:
    """Questions to a pool's first address go to the resolver."""
    if (four := policy.resolver(4)) is not None:
        places = _listed([resolver4(pool) for pool in policy.pools])
        yield f'    iifname "sky0" ip daddr {places} meta l4proto {{ tcp, udp }} th dport 53 dnat ip to {four}'
    if (six := policy.resolver(6)) is not None:
        place = address6(policy.network6, RESOLVER_NUMBER)
        yield f'    iifname "sky0" ip6 daddr {place} meta l4proto {{ tcp, udp }} th dport 53 dnat ip6 to {six}'


def _listed(things: Sequence[object]) -> str:
    return "{ " + ", ".join(map(str, things)) + " }"


def _elements(networks: Iterable[IpNetwork], version: int) -> str:
    """Of a set whose intervals may not overlap; an empty one has no such line."""
    if version == 4:
        merged = [str(one) for one in collapse_addresses(net for net in networks if isinstance(net, IPv4Network))]
    else:
        merged = [str(one) for one in collapse_addresses(net for net in networks if isinstance(net, IPv6Network))]
    return f"elements = {{ {', '.join(merged)} }}" if merged else ""


# clients


def limits(policy: Policy, client: Client) -> list[str]:
    """What a number has as long as the table is there, its client being served or not."""
    number, key = client.lease.number, mark(client.lease.number)
    lines = [_counted("sent", key, client.sent), _counted("received", key, client.received)]
    if policy.quota_bytes is not None:
        lines += quota(policy.quota_bytes, number, client.used)
        lines.append(f'add element inet {NAME} quotas {{ {key} : "q{number}" }}')
    if policy.rate_mbit is not None:
        rate = int(policy.rate_mbit * 125_000)
        for letter, name in (("u", "up"), ("d", "down")):
            lines.append(f"add limit inet {NAME} {letter}{number} {{ rate over {rate} bytes/second }}")
            lines.append(f'add element inet {NAME} {name} {{ {key} : "{letter}{number}" }}')
    return lines


def quota(most: int, number: int, used: int) -> list[str]:
    return [f"add quota inet {NAME} q{number} {{ over {most} bytes used {used} bytes }}"]


def new_quotas(most: int, numbers: Iterable[int]) -> str:
    """Nothing used yet: those there are, anew."""
    lines = []
    for number in numbers:
        element = f"element inet {NAME} quotas"
        lines += [f"delete {element} {{ {mark(number)} }}", f"delete quota inet {NAME} q{number}"]
        lines += [*quota(most, number, 0), f'add {element} {{ {mark(number)} : "q{number}" }}']
    return "\n".join([*lines, ""])


def serve(lease: Lease, network: IPv6Network) -> list[str]:
    return _addresses("add", lease, network, f" : {mark(lease.number)}")


def stop_serving(lease: Lease, network: IPv6Network) -> list[str]:
    return _addresses("delete", lease, network, "")


def _addresses(verb: str, lease: Lease, network: IPv6Network, value: str) -> list[str]:
    places: list[tuple[int, IPv4Address | IPv6Address]] = [(4, lease.ipv4), (6, address6(network, lease.number))]
    return [f"{verb} element inet {NAME} numbers{version} {{ {place}{value} }}" for version, place in places]


def _counted(name: str, key: str, count: tuple[int, int]) -> str:
    return f"add element inet {NAME} {name} {{ {key} counter packets {count[0]} bytes {count[1]} }}"


TEXT = Template("""\
table inet skywire_vpn {
$counters
  map numbers4 { type ipv4_addr : mark; }
  map numbers6 { type ipv6_addr : mark; }
  map quotas { type mark : quota; }
  map up { type mark : limit; }
  map down { type mark : limit; }
  set sent { type mark; counter; }
  set received { type mark; counter; }
  set flows { type mark; flags dynamic; size 65536; }
  set begun { type mark; flags dynamic; size 65536; }
  set allowed4 { type ipv4_addr; flags interval; $allowed4 }
  set allowed6 { type ipv6_addr; flags interval; $allowed6 }
  set blocked4 { type ipv4_addr; flags interval; $blocked4 }
  set blocked6 { type ipv6_addr; flags interval; $blocked6 }
  chain dns {
    type nat hook prerouting priority dstnat; policy accept;
$dns
  }
  chain own {
    type filter hook input priority filter - 5; policy accept;
    iifname "sky0" ip saddr $pools counter name own drop
    iifname "sky0" ip6 saddr $network6 counter name own drop
  }
  chain forward {
    type filter hook forward priority filter - 5; policy accept;
    iifname "sky0" meta mark set ip saddr map @numbers4 goto from_client
    iifname "sky0" meta mark set ip6 saddr map @numbers6 goto from_client
    oifname "sky0" meta mark set ip daddr map @numbers4 goto to_client
    oifname "sky0" meta mark set ip6 daddr map @numbers6 goto to_client
    iifname "sky0" ct state established,related accept
    iifname "sky0" counter name forged drop
    ip saddr $pools counter name forged drop
    ip6 saddr $network6 counter name forged drop
  }
  chain from_client {
    oifname "sky0" counter name isolated drop
    oifname "sky-*" counter name isolated drop
    ct state invalid counter name untracked drop
    ct state new ct status & confirmed == 0 jump begin
    ip protocol tcp tcp flags & (syn | rst) == syn tcp option maxseg size set $segment4
    ip6 nexthdr tcp tcp flags & (syn | rst) == syn tcp option maxseg size set $segment6
    ct status dnat meta l4proto { tcp, udp } th dport 53 goto spend_up
    ip daddr @allowed4 goto spend_up
    ip6 daddr @allowed6 goto spend_up
    ip daddr @blocked4 counter name blocked reject with icmp admin-prohibited
    ip6 daddr @blocked6 counter name blocked reject with icmpv6 admin-prohibited
    goto spend_up
  }
  chain to_client {
    ct state invalid counter name untracked drop
    ct state != { established, related } counter name unasked drop
    tcp flags & (syn | rst) == syn tcp option maxseg size set rt mtu
    limit name meta mark map @down counter name over_rate drop
    quota name meta mark map @quotas counter name over_quota drop
    meta mark @received
    accept
  }
  chain begin {
    update @begun { meta mark limit rate over $begun/second burst $begun packets } counter name too_many drop
    add @flows { meta mark ct count over $flows } counter name too_many drop
  }
  chain spend_up {
    limit name meta mark map @up counter name over_rate drop
    quota name meta mark map @quotas counter name over_quota drop
    meta mark @sent
    accept
  }
  chain passed {
    type filter hook postrouting priority mangle; policy accept;
    meta mark & $mask == $mark meta mark set 0
  }
  chain uplink {
    type nat hook postrouting priority srcnat; policy accept;
    ip saddr $pools oifname != "sky0" masquerade
    ip6 saddr $network6 oifname != "sky0" masquerade
  }
}""")
