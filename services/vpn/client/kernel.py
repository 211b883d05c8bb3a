"""The door to routes, rules and addresses of the VPN's client. Its calls block, and never run in an event loop's
thread: pyroute2 has a loop of its own. Each opens and closes what it needs. Ours are known by their protocol numbers.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import IPv4Address, ip_address, ip_network
from pathlib import Path
from typing import Any

from services.kernel.errors import AbsentError, DoorError
from services.kernel.model import SESSIONS
from services.kernel.pyroute import IPRoute, NetlinkError
from services.vpn.client.ways import PROTOCOL, TABLE, IpAddress, Kind, Rule, Wanted, Way

INET = {4: 2, 6: 10}
ALL_BITS = 0xFFFFFFFF
UNSET = 0xFFFFFFFF
INVERT = 0x02  # FIB_RULE_INVERT
NO_DETECTION = 0x02  # IFA_F_NODAD
LENT = 184
"""Protocol of addresses (IFA_PROTO, Linux 5.18)."""

KINDS = {Kind.TUNNEL: 1, Kind.UNREACHABLE: 7, Kind.THROW: 9}  # RTN_*
CONF4 = Path("/proc/sys/net/ipv4/conf")
STRICT, LOOSE = "1", "2"


def bring(wanted: Wanted) -> None:
    """Makes what there is of ours as wanted: what is new comes before what is old goes. Where the tunnel's interface is
    away, the rest is made, and AbsentError raised. Raises DoorError.
    """
    with _opened() as route:
        index = _index(route)
        ways = [way for way in wanted.ways if index or way.kind is not Kind.TUNNEL]
        for address in sorted(wanted.addresses, key=str) if index else ():
            _put_address(route, index, address)
        have = set(_ways(route, index))
        for way in sorted(set(ways) - have, key=lambda way: -way.metric):
            route.route("replace", **_route(way, index))
        have_rules = set(_rules(route))
        for rule in sorted(wanted.rules - have_rules, key=lambda rule: rule.priority):
            route.rule("add", **_rule(rule))
        for rule in sorted(have_rules - wanted.rules, key=lambda rule: -rule.priority):
            route.rule("del", **_rule(rule))
        _drop_ways(route, index, wanted)
        if index:
            _drop_addresses(route, index, wanted)
    if not index and wanted.addresses:
        raise AbsentError(f"there is no interface '{SESSIONS}': is the node running?")


def clear() -> None:
    """Nothing of ours is left. Raises DoorError."""
    bring(Wanted())


def own_addresses() -> list[tuple[str, IPv4Address]]:
    """(device, address) of IPv4. Raises DoorError."""
    with _opened() as route:
        names = {link["index"]: str(link.get("ifname")) for link in route.get_links()}
        return [
            (names.get(one["index"], ""), IPv4Address(one.get("address"))) for one in route.get_addr(family=INET[4])
        ]


def default_devices() -> set[str]:
    """The devices that a default route of the main table leads to. Raises DoorError."""
    with _opened() as route:
        names = {link["index"]: str(link.get("ifname")) for link in route.get_links()}
        found = [one for version in INET for one in route.get_routes(family=INET[version], table=254)]
        return {names.get(one.get("oif"), "") for one in found if not one["dst_len"]}


def loosen() -> None:
    """Tunnels' packets come in where unmarked ones would not go out: a strict reverse-path check drops them (RFC 3704).
    The greater of the value for all and that of the interface counts. Raises DoorError.
    """
    if any(_read(path) == STRICT for path in CONF4.glob("*/rp_filter")):
        _write(CONF4 / "all" / "rp_filter", LOOSE)


def forward_ipv4() -> None:
    """Raises DoorError."""
    _write(Path("/proc/sys/net/ipv4/ip_forward"), "1")


# asking and telling the kernel


@contextmanager
def _opened() -> Iterator[IPRoute]:
    try:
        with IPRoute() as route:
            yield route
    except NetlinkError as error:
        raise DoorError(f"the kernel refused a route, rule or address: {error.args[1]}") from error
    except OSError as error:
        raise DoorError(f"cannot ask the kernel for routes: {error.strerror or error} (run as root)") from error


def _index(route: IPRoute) -> int:
    found = route.link_lookup(ifname=SESSIONS)
    return int(found[0]) if found else 0


def _ways(route: IPRoute, index: int) -> Iterator[Way]:
    kinds = {number: kind for kind, number in KINDS.items()}
    for version, family in INET.items():
        for one in route.get_routes(family=family, table=TABLE):
            kind = kinds.get(one["type"])
            if one["proto"] != PROTOCOL or kind is None or (kind is Kind.TUNNEL and one.get("oif") != index):
                continue
            start = one.get("dst") or ("0.0.0.0" if version == 4 else "::")  # noqa: S104
            source, mtu = one.get("prefsrc"), _mtu(one)
            yield Way(
                ip_network(f"{start}/{one['dst_len']}"),
                kind,
                one.get("priority") or 0,
                ip_address(source) if source else None,
                mtu,
            )


def _mtu(one: Any) -> int:
    metrics = one.get("metrics")
    return int(metrics.get("mtu") or metrics.get("RTAX_MTU") or 0) if metrics else 0


def _route(way: Way, index: int) -> dict[str, object]:
    told: dict[str, object] = {
        "family": INET[way.destination.version],
        "dst": str(way.destination),
        "table": TABLE,
        "proto": PROTOCOL,
        "type": KINDS[way.kind],
        "priority": way.metric,
    }
    if way.kind is Kind.TUNNEL:
        told["oif"] = index
    if way.source is not None:
        told["prefsrc"] = str(way.source)
    if way.mtu:
        told["metrics"] = {"mtu": way.mtu}
    return told


def _drop_ways(route: IPRoute, index: int, wanted: Wanted) -> None:
    """A route that was replaced in place is no longer there under its old form."""
    kept = {(way.destination, way.metric) for way in wanted.ways}
    for way in _ways(route, index):
        if (way.destination, way.metric) not in kept or (way.destination.version == 6 and way not in wanted.ways):
            with _gone():
                route.route("del", **_route(way, index))


def _rules(route: IPRoute) -> Iterator[Rule]:
    for version, family in INET.items():
        for one in route.get_rules(family=family):
            if one.get("protocol") == PROTOCOL:
                yield Rule(
                    version,
                    one.get("priority") or 0,
                    one.get("table") or 0,
                    (one.get("fwmark") or 0) if one["flags"] & INVERT else 0,
                    one.get("FRA_SUPPRESS_PREFIXLEN", UNSET) not in {None, UNSET},
                )


def _rule(rule: Rule) -> dict[str, object]:
    told: dict[str, object] = {
        "family": INET[rule.version],
        "priority": rule.priority,
        "table": rule.table,
        "protocol": PROTOCOL,
    }
    if rule.unmarked:
        told |= {"fwmark": rule.unmarked, "fwmask": ALL_BITS, "flags": INVERT}
    if rule.no_default:
        told["FRA_SUPPRESS_PREFIXLEN"] = 0
    return told


def _put_address(route: IPRoute, index: int, address: IpAddress) -> None:
    route.addr(
        "replace",
        index=index,
        address=str(address),
        prefixlen=address.max_prefixlen,
        flags=NO_DETECTION,
        IFA_PROTO=LENT,
    )


def _drop_addresses(route: IPRoute, index: int, wanted: Wanted) -> None:
    for one in list(route.get_addr(index=index)):
        address = ip_address(one.get("address"))
        if one.get("IFA_PROTO") == LENT and address not in wanted.addresses:
            with _gone():
                route.addr("del", index=index, address=str(address), prefixlen=one["prefixlen"])


@contextmanager
def _gone() -> Iterator[None]:
    """What is to be taken away may have gone by itself."""
    try:
        yield
    except NetlinkError as error:
        if error.code not in {errno.ESRCH, errno.EADDRNOTAVAIL, errno.ENOENT}:
            raise


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
