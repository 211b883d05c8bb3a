"""Packets that no honest program sends, written by hand and put on a device of a host, and a socket that notes whether
one arrived.
"""

from __future__ import annotations

import socket
import struct
from ipaddress import IPv6Address

from tests.laboratory.host import Host

IPV6 = 0x86DD
UDP, ICMP = 17, 58
ECHO_REQUEST = 128
HOP_LIMIT = 64
VXLAN_PORT = 4789


def udp6(source: str, destination: str, port: int, body: bytes = b"junk", from_port: int = 40000) -> bytes:
    """A whole IPv6 packet with a UDP datagram."""
    return _ip6(source, destination, UDP, struct.pack("!HHHxx", from_port, port, 8 + len(body)) + body, 6)


def echo6(source: str, destination: str, body: bytes = b"junk") -> bytes:
    """A whole IPv6 packet with an ICMPv6 echo request."""
    return _ip6(source, destination, ICMP, struct.pack("!BxxxHH", ECHO_REQUEST, 1, 1) + body, 2)


def _ip6(source: str, destination: str, protocol: int, bare: bytes, at: int) -> bytes:
    """`bare` is what it carries, with zeros at `at`, where the checksum belongs."""
    ends = IPv6Address(source).packed + IPv6Address(destination).packed
    check = checksum(ends + struct.pack("!IxxxB", len(bare), protocol) + bare) or 0xFFFF
    body = bare[:at] + struct.pack("!H", check) + bare[at + 2 :]
    return struct.pack("!IHBB", 6 << 28, len(bare), protocol, HOP_LIMIT) + ends + body


def vxlan(vni: int, packet: bytes, to: bytes = b"\xff" * 6) -> bytes:
    """What stands in a UDP datagram to port 4789: the header, and an Ethernet frame with that packet."""
    return struct.pack("!B3xI", 8, vni << 8) + to + b"\x02\0\0\0\0\x01" + struct.pack("!H", IPV6) + packet


def checksum(data: bytes) -> int:
    total = sum(int.from_bytes(data[at : at + 2].ljust(2, b"\0"), "big") for at in range(0, len(data), 2))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def put(host: Host, device: str, packet: bytes, *, times: int = 1, to: str = "") -> None:
    """Out of the host's device, past its own rules; `to` is a MAC address where the device has such."""
    mac = bytes.fromhex(to.replace(":", ""))
    with host.socket(socket.AF_PACKET, socket.SOCK_DGRAM) as raw:
        for _ in range(times):
            raw.sendto(packet, (device, IPV6, 0, 0, mac) if mac else (device, IPV6))


def mac_of(host: Host, device: str) -> str:
    return host.run(["cat", f"/sys/class/net/{device}/address"]).stdout.strip()
