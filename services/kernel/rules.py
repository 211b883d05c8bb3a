"""The fixed part of the nftables table `inet skywire`, as text. Sets and named counters outlive a change of the rules,
which is one transaction; the elements of the sets are facts of their own. Text and not JSON, because people read it.

hygiene  prerouting: our ranges come in by our interfaces only (IPv6 has no reverse-path filter), route packets go
         untracked
forward  what is in `pairs` passes and is counted; so do the packets of an exit's clients between mesh and uplink, those
         of a gateway's network into the sessions, and the answers to both; the rest of our interfaces' (on a board: all
         else) drops
input    outer packets of sessions from accepted sources; VXLAN from its neighbour; on the mesh what is published
vouched  on a board, whose own table (`inet skywire_gate`, in the image) drops what has no mark: what `input` lets in;
         `vouched_through`: what `forward` does
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import StrEnum
from string import Template

from services.kernel.model import Rules

EXIT_MARK, MARK_MASK = 0x54000000, 0xFF000000
"""What an exit's own table, which comes before this one, marks packets with that it lets through. Where that table is
gone, nothing passes: no packet goes out without its policy and NAT.
"""
VOUCHED_MARK = 0x00100000
"""What a packet to or through a board bears from here to the image's table, which comes after this one. `input` and
`forward` decide between them; where this table is gone, no packet bears it.
"""


class Host(StrEnum):
    WORKSTATION = "workstation"
    BOARD = "board"


@dataclass(frozen=True, slots=True)
class Settings:
    """`probe_port`: UDP between neighbours' link addresses and between the two ends of a route."""

    host: Host = Host.WORKSTATION
    link_port: int = 51820
    session_port: int = 51821
    probe_port: int = 51822


def fixed(settings: Settings) -> Rules:
    board = settings.host is Host.BOARD
    body = TEXT.substitute(
        link_port=settings.link_port,
        session_port=settings.session_port,
        probe_port=settings.probe_port,
        exit_mark=f"{EXIT_MARK:#x}",
        mark_mask=f"{MARK_MASK:#x}",
        forward_rest=ALL_DROP if board else OURS_DROP,
        vouched=VOUCHED.substitute(mark=f"{VOUCHED_MARK:#x}") if board else "",
        input_rest=BOARD_INPUT.substitute(link_port=settings.link_port) if board else "",
    )
    mark = hashlib.blake2b(body.encode(), digest_size=8).hexdigest()
    return Rules(mark, body)


ALL_DROP = "counter name strayed drop"
OURS_DROP = """\
iifname "sky-*" counter name strayed drop
    iifname "sky0" counter name strayed drop
    oifname "sky-*" counter name strayed drop
    oifname "sky0" counter name strayed drop"""

BOARD_INPUT = Template("""\
ct state established,related accept
    meta l4proto { icmp, ipv6-icmp } accept
    udp sport 67 udp dport 68 accept
    ip6 saddr fe80::/10 udp dport 546 accept
    udp dport $link_port accept
    meta l4proto . th dport @outside accept
    counter name refused drop""")

VOUCHED = Template("""\

  chain vouched {
    type filter hook input priority filter - 1; policy accept;
    meta mark set meta mark | $mark
  }
  chain vouched_through {
    type filter hook forward priority filter - 1; policy accept;
    meta mark set meta mark | $mark
  }""")

TEXT = Template("""\
table inet skywire {
  counter forged {}
  counter strayed {}
  counter refused {}
  counter hijacked {}
  counter injected {}
  set pairs { type ifname . ipv6_addr . ipv6_addr; counter; }
  set outer4 { type ipv4_addr; }
  set outer6 { type ipv6_addr; }
  set wires4 { typeof ip saddr . @th,96,24; }
  set wires6 { typeof ip6 saddr . @th,96,24; }
  set open { type inet_proto . inet_service; }
  set granted { type ipv6_addr . inet_proto . inet_service; }
  set foreign { type ipv6_addr; }
  set outside { type inet_proto . inet_service; }
  set exits4 { type ipv4_addr; }
  set exits6 { type ipv6_addr; }
  set gateways { type ifname; }
  chain hygiene { type filter hook prerouting priority raw; policy accept; }
  chain untracked { type filter hook output priority raw; policy accept; }
  chain forward { type filter hook forward priority filter; policy accept; }
  chain input { type filter hook input priority filter; policy accept; }
  chain out_of_mesh {}
  chain into_mesh {}
  chain session {}
  chain wire {}
  chain underlay {}
  chain mesh {}
}
flush table inet skywire
table inet skywire {
  chain hygiene {
    iifname "lo" accept
    iifname != "sky0" ip6 saddr fd53::/16 counter name forged drop
    iifname != "sky0" ip6 daddr fd53::/16 counter name forged drop
    iifname != "sky-*" ip6 saddr { fd4c::/16, fd52::/16 } counter name forged drop
    iifname != "sky-*" ip6 daddr { fd4c::/16, fd52::/16 } counter name forged drop
    ip6 saddr fd52::/16 notrack
    ip6 daddr fd52::/16 notrack
  }
  chain untracked {
    ip6 saddr fd52::/16 notrack
    ip6 daddr fd52::/16 notrack
  }$vouched
  chain forward {
    iifname . ip6 saddr . ip6 daddr @pairs accept
    iifname "sky0" jump out_of_mesh
    oifname "sky0" jump into_mesh
    $forward_rest
  }
  chain out_of_mesh {
    oifname "sky0" return
    oifname "sky-*" return
    meta mark & $mark_mask == $exit_mark ip saddr @exits4 accept
    meta mark & $mark_mask == $exit_mark ip6 saddr @exits6 accept
    oifname @gateways ct state established,related accept
  }
  chain into_mesh {
    iifname "sky0" return
    iifname "sky-*" return
    iifname @gateways accept
    meta mark & $mark_mask == $exit_mark ip daddr @exits4 ct state established,related accept
    meta mark & $mark_mask == $exit_mark ip6 daddr @exits6 ct state established,related accept
  }
  chain input {
    iifname "lo" accept
    udp dport $session_port goto session
    udp dport 4789 @th,96,1 1 goto wire
    iifname "sky-*" goto underlay
    iifname "sky0" goto mesh
    $input_rest
  }
  chain session {
    ip saddr @outer4 accept
    ip6 saddr @outer6 accept
    counter name hijacked drop
  }
  chain wire {
    ip saddr . @th,96,24 @wires4 accept
    ip6 saddr . @th,96,24 @wires6 accept
    counter name injected drop
  }
  chain underlay {
    meta l4proto ipv6-icmp accept
    ip6 saddr { fd4c::/16, fd52::/16 } udp dport $probe_port accept
    counter name refused drop
  }
  chain mesh {
    ct state established,related accept
    meta l4proto ipv6-icmp accept
    ip6 saddr . meta l4proto . th dport @granted accept
    ip6 saddr @foreign counter name refused drop
    meta l4proto . th dport @open accept
    counter name refused drop
  }
}
""")
