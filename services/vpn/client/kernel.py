"""The door to routes, rules and addresses of the VPN's client, by netlink. Its calls block, some milliseconds; each
opens and closes what it needs. Ours are known by their protocol numbers. pyroute2 would do it too, and cost a small
board another 6 MB.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from ipaddress import IPv4Address, IPv4Interface, IPv6Address, ip_network
from pathlib import Path

from services.kernel.errors import AbsentError, DoorError
from services.kernel.messages import NESTED, NetlinkSocket, attribute, attributes
from services.kernel.model import MAIN_TABLE, SESSIONS
from services.vpn.client.ways import PROTOCOL, TABLE, IpAddress, Kind, Rule, Wanted, Way

INET = {4: socket.AF_INET, 6: socket.AF_INET6}
ROUTING, LINK_SCOPE = 0, 253
CREATE, REPLACE, EXCLUSIVE = 0x400, 0x100, 0x200
NEW_ADDRESS, DROP_ADDRESS, GET_ADDRESS = 20, 21, 22
NEW_ROUTE, DROP_ROUTE, GET_ROUTE = 24, 25, 26
NEW_RULE, DROP_RULE, GET_RULE = 32, 33, 34

DESTINATION, DEVICE, PRIORITY, SOURCE, METRICS, ROUTE_TABLE, MTU = 1, 4, 6, 7, 8, 15, 2
RULE_PRIORITY, FWMARK, SUPPRESS, RULE_TABLE, FWMASK, RULE_PROTOCOL = 6, 10, 14, 15, 16, 21
ADDRESS, LOCAL, ADDRESS_FLAGS, ADDRESS_PROTOCOL = 1, 2, 8, 11
ALL_BITS = UNSET = 0xFFFFFFFF
INVERT = 0x02  # FIB_RULE_INVERT
NO_DETECTION = 0x02  # IFA_F_NODAD
TO_TABLE = 1  # FR_ACT_TO_TBL
LENT = 184
"""Protocol of addresses (IFA_PROTO, Linux 5.18)."""

KINDS = {Kind.TUNNEL: 1, Kind.UNREACHABLE: 7, Kind.THROW: 9}  # RTN_*
GONE = {errno.ESRCH, errno.EADDRNOTAVAIL, errno.ENOENT}
CONF4 = Path("/proc/sys/net/ipv4/conf")
STRICT, LOOSE = "1", "2"

_header = struct.Struct("=BBBBBBBBI")  # rtmsg, and fib_rule_hdr
_address_header = struct.Struct("=BBBBI")  # ifaddrmsg
_u32 = struct.Struct("=I")


def bring(wanted: Wanted) -> None:
    """Makes what there is of ours as wanted: what is new comes before what is old goes. Where the tunnel's interface is
    away, the rest is made, and AbsentError raised. Raises DoorError.
    """
    index = _index()
    with _opened() as netlink:
        if index:
            _send(netlink, NEW_ADDRESS, CREATE | REPLACE, [_address(one, index) for one in wanted.addresses])
        ways = {way for way in wanted.ways if index or way.kind is not Kind.TUNNEL}
        fresh = sorted(ways - set(_ways(netlink, index)), key=lambda way: -way.metric)
        _send(netlink, NEW_ROUTE, CREATE | REPLACE, [_route(way, index) for way in fresh])
        rules = set(_rules(netlink))
        fresh_rules = sorted(wanted.rules - rules, key=lambda rule: rule.priority)
        _send(netlink, NEW_RULE, CREATE | EXCLUSIVE, map(_rule, fresh_rules))
        old_rules = sorted(rules - wanted.rules, key=lambda rule: -rule.priority)
        _send(netlink, DROP_RULE, 0, map(_rule, old_rules), GONE)
        old_ways = [way for way in _ways(netlink, index) if way not in wanted.ways]
        _send(netlink, DROP_ROUTE, 0, [_route(way, index) for way in old_ways], GONE)
        old = [one for one in _lent(netlink, index) if one not in wanted.addresses]
        _send(netlink, DROP_ADDRESS, 0, [_address(one, index) for one in old], GONE)
    if not index and wanted.addresses:
        raise AbsentError(f"there is no interface '{SESSIONS}': is the node running?")


def clear() -> None:
    """Nothing of ours is left. Raises DoorError."""
    bring(Wanted())


def own_addresses() -> list[tuple[str, IPv4Interface]]:
    """(device, address with its network) of IPv4. Raises DoorError."""
    with _opened() as netlink:
        found = [
            (_name(index), IPv4Interface((told.get(LOCAL) or told[ADDRESS], prefix)))
            for index, prefix, told in _addresses(netlink, 4)
            if LOCAL in told or ADDRESS in told
        ]
    return [(name, address) for name, address in found if name]


def default_devices() -> set[str]:
    """The devices that a default route of the main table leads to. Raises DoorError."""
    with _opened() as netlink:
        found = {
            _name(_u32.unpack(told[DEVICE])[0])
            for version in INET
            for head, told in _dump(netlink, GET_ROUTE, version)
            if head[1] == 0 and DEVICE in told and head[7] == KINDS[Kind.TUNNEL] and _table(told, head) == MAIN_TABLE
        }
    return found - {""}


def loosen() -> str | None:
    """Tunnels' packets come in where unmarked ones would not go out: a strict reverse-path check drops them (RFC 3704).
    The greater of the value for all and that of the interface counts. Returns what was there, where it was changed;
    `tighten` puts it back. Raises DoorError.
    """
    before = _read(CONF4 / "all" / "rp_filter")
    if before == LOOSE or not any(_read(path) == STRICT for path in CONF4.glob("*/rp_filter")):
        return None
    _write(CONF4 / "all" / "rp_filter", LOOSE)
    return before


def tighten(before: str) -> None:
    """Raises DoorError."""
    _write(CONF4 / "all" / "rp_filter", before)


# what there is


def _ways(netlink: NetlinkSocket, index: int) -> Iterator[Way]:
    kinds = {number: kind for kind, number in KINDS.items()}
    for version in INET:
        for head, told in _dump(netlink, GET_ROUTE, version):
            kind, device = kinds.get(head[7]), _u32.unpack(told.get(DEVICE, bytes(4)))[0]
            if head[5] != PROTOCOL or _table(told, head) != TABLE or kind is None:
                continue
            if kind is Kind.TUNNEL and device != index:
                continue
            start = told.get(DESTINATION, bytes(4 if version == 4 else 16))
            metrics = dict(attributes(told.get(METRICS, b"")))
            yield Way(
                ip_network((start, head[1])),
                kind,
                _u32.unpack(told.get(PRIORITY, bytes(4)))[0],
                _ip(told[SOURCE]) if SOURCE in told else None,
                _u32.unpack(metrics[MTU])[0] if MTU in metrics else 0,
            )


def _rules(netlink: NetlinkSocket) -> Iterator[Rule]:
    for version in INET:
        for head, told in _dump(netlink, GET_RULE, version):
            if told.get(RULE_PROTOCOL) != bytes([PROTOCOL]):
                continue
            mark = _u32.unpack(told.get(FWMARK, bytes(4)))[0]
            suppressed = _u32.unpack(told.get(SUPPRESS, _u32.pack(UNSET)))[0]
            priority = _u32.unpack(told.get(RULE_PRIORITY, bytes(4)))[0]
            yield Rule(version, priority, _table(told, head), mark if head[8] & INVERT else 0, suppressed != UNSET)


def _lent(netlink: NetlinkSocket, index: int) -> Iterator[IpAddress]:
    for version in INET:
        for at, _, told in _addresses(netlink, version):
            if at == index and told.get(ADDRESS_PROTOCOL) == bytes([LENT]):
                yield _ip(told.get(LOCAL) or told[ADDRESS])


def _addresses(netlink: NetlinkSocket, version: int) -> Iterator[tuple[int, int, dict[int, bytes]]]:
    """(index of the device, length of the prefix, attributes)."""
    for body in netlink.dump(GET_ADDRESS, _address_header.pack(INET[version], 0, 0, 0, 0)):
        _, prefix, _, _, index = _address_header.unpack_from(body)
        yield index, prefix, _told(body, _address_header.size)


def _dump(netlink: NetlinkSocket, kind: int, version: int) -> Iterator[tuple[tuple[int, ...], dict[int, bytes]]]:
    for body in netlink.dump(kind, _header.pack(INET[version], *[0] * 8)):
        yield _header.unpack_from(body), _told(body, _header.size)


# what is wanted


def _address(address: IpAddress, index: int) -> bytes:
    flags = attribute(ADDRESS_FLAGS, _u32.pack(NO_DETECTION)) + attribute(ADDRESS_PROTOCOL, bytes([LENT]))
    head = _address_header.pack(INET[address.version], address.max_prefixlen, NO_DETECTION, 0, index)
    return head + attribute(LOCAL, address.packed) + attribute(ADDRESS, address.packed) + flags


def _route(way: Way, index: int) -> bytes:
    is_link = way.kind is Kind.TUNNEL and way.destination.version == 4
    scope = LINK_SCOPE if is_link else 0
    head = (INET[way.destination.version], way.destination.prefixlen, 0, 0, 0, PROTOCOL, scope, KINDS[way.kind], 0)
    parts = [
        _header.pack(*head),
        attribute(DESTINATION, way.destination.network_address.packed),
        attribute(ROUTE_TABLE, _u32.pack(TABLE)),
        attribute(PRIORITY, _u32.pack(way.metric)),
    ]
    if way.kind is Kind.TUNNEL:
        parts.append(attribute(DEVICE, _u32.pack(index)))
    if way.source is not None:
        parts.append(attribute(SOURCE, way.source.packed))
    if way.mtu:
        parts.append(attribute(METRICS | NESTED, attribute(MTU, _u32.pack(way.mtu))))
    return b"".join(parts)


def _rule(rule: Rule) -> bytes:
    parts = [
        _header.pack(INET[rule.version], 0, 0, 0, 0, 0, 0, TO_TABLE, INVERT if rule.unmarked else 0),
        attribute(RULE_PRIORITY, _u32.pack(rule.priority)),
        attribute(RULE_TABLE, _u32.pack(rule.table)),
        attribute(RULE_PROTOCOL, bytes([PROTOCOL])),
    ]
    if rule.unmarked:
        parts += [attribute(FWMARK, _u32.pack(rule.unmarked)), attribute(FWMASK, _u32.pack(ALL_BITS))]
    if rule.no_default:
        parts.append(attribute(SUPPRESS, _u32.pack(0)))
    return b"".join(parts)


def _send(
    netlink: NetlinkSocket, kind: int, flags: int, bodies: Iterable[bytes], fine: Iterable[int] = (errno.EEXIST,)
) -> None:
    """All of them, and then the first error is told, if it is none of the `fine` ones."""
    numbers = netlink.send([(kind, flags, body) for body in bodies])
    wrong = next((number for number in numbers if number and number not in set(fine)), 0)
    if wrong:
        raise DoorError(f"the kernel refused a route, rule or address: {os.strerror(wrong)} (run as root)")


# small things


@contextmanager
def _opened() -> Iterator[NetlinkSocket]:
    try:
        netlink = NetlinkSocket(ROUTING)
    except OSError as error:
        raise DoorError(f"cannot open netlink: {error.strerror or error}") from None
    try:
        yield netlink
    except OSError as error:
        raise DoorError(f"cannot read the kernel's routes: {error.strerror or error}") from None
    finally:
        netlink.close()


def _told(body: bytes, start: int) -> dict[int, bytes]:
    return {kind: bytes(value) for kind, value in attributes(body, start)}


def _table(told: dict[int, bytes], head: tuple[int, ...]) -> int:
    return int(_u32.unpack(told[ROUTE_TABLE])[0]) if ROUTE_TABLE in told else head[4]


def _ip(packed: bytes) -> IpAddress:
    return IPv4Address(packed) if len(packed) == 4 else IPv6Address(packed)


def _index() -> int:
    """0 where there is none."""
    try:
        return socket.if_nametoindex(SESSIONS)
    except OSError:
        return 0


def _name(index: int) -> str:
    try:
        return socket.if_indextoname(index)
    except OSError:
        return ""


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""


def _write(path: Path, value: str) -> None:
    try:
        if _read(path) != value:
            path.write_text(value)
    except OSError as error:
        raise DoorError(f"cannot set '{path}' to '{value}': {error.strerror}") from error
