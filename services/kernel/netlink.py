"""The door to interfaces, addresses and rules, through pyroute2. It belongs to the thread and to the network namespace
it was made in, and blocks: pyroute2 runs an event loop of its own, so never call it from a coroutine.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import IPv6Interface, ip_address, ip_interface
from typing import Any

from services.kernel.errors import AbsentError, DoorError
from services.kernel.model import (
    LINK_RANGE,
    PROTOCOL,
    ROUTE_RANGE,
    SESSION_RANGE,
    SESSIONS,
    Address,
    Link,
    LinkKind,
    Rule,
    Vxlan,
    is_ours,
)
from services.kernel.pyroute import IPRoute, NetlinkError

INET, INET6 = 2, 10
UP = 0x01  # IFF_UP
NO_DETECTION = 0x02  # IFA_F_NODAD
INVERT = 0x02  # FIB_RULE_INVERT
ALL_BITS = 0xFFFFFFFF
RANGES = (LINK_RANGE, ROUTE_RANGE, SESSION_RANGE)


class Netlink:
    def __init__(self) -> None:
        with _told("cannot open netlink"):
            self._route = IPRoute()

    def close(self) -> None:
        self._route.close()

    # interfaces

    def links(self) -> list[Link]:
        """Those that bear our names. A tunnel of wireguard-go is FOREIGN here: its backend knows better."""
        with _told("cannot list the interfaces"):
            found = [link for link in self._route.get_links() if is_ours(link.get("ifname"))]
        return [_link(link) for link in found]

    def has_link(self, name: str) -> bool:
        return bool(self._index(name))

    def add_wireguard(self, name: str) -> None:
        with _told(f"cannot make interface '{name}'"):
            self._route.link("add", ifname=name, kind="wireguard")

    def add_vxlan(self, name: str, vxlan: Vxlan) -> None:
        six = "6" if vxlan.local.version == 6 else ""
        ends = {f"vxlan_local{six}": str(vxlan.local), f"vxlan_group{six}": str(vxlan.remote)}
        with _told(f"cannot make interface '{name}'"):
            self._route.link(
                "add",
                ifname=name,
                kind="vxlan",
                vxlan_id=vxlan.vni,
                vxlan_port=vxlan.port,
                vxlan_learning=0,
                **ends,
            )

    def bring_up(self, name: str, mtu: int, burst: int | None = None) -> None:
        """`burst`: how many bytes TCP may hand to the interface at once, to be cut into packets there."""
        more = {} if burst is None else {"gso_max_size": burst}
        with _told(f"cannot bring up interface '{name}'"):
            self._route.link("set", index=self._must_index(name), mtu=mtu, state="up", **more)

    def drop_link(self, name: str) -> None:
        index = self._index(name)
        if index:
            with _told(f"cannot remove interface '{name}'"):
                self._route.link("del", index=index)

    # addresses

    def addresses(self) -> Iterator[Address]:
        """All of our interfaces', but for guests of `sky0` (a VPN's), and those of `lo` that are of the mesh."""
        with _told("cannot list the addresses"):
            names = {link["index"]: link.get("ifname") for link in self._route.get_links()}
            found = list(self._route.get_addr(family=INET6))
        for one in found:
            name = names.get(one["index"], "")
            address = IPv6Interface((one.get("address"), one["prefixlen"]))
            is_mesh = any(address.ip in each for each in RANGES) or address.is_link_local
            if is_mesh if name in {"lo", SESSIONS} else is_ours(name):
                yield Address(name, address)

    def put_address(self, address: Address) -> None:
        self._address("replace", address, flags=NO_DETECTION)

    def drop_address(self, address: Address) -> None:
        try:
            self._address("del", address)
        except AbsentError:
            return

    def _address(self, verb: str, address: Address, **more: int) -> None:
        with _told(f"address '{address.address}' on '{address.device}'"):
            index, own = self._must_index(address.device), ip_interface(address.address)
            self._route.addr(verb, index=index, address=str(own.ip), prefixlen=own.network.prefixlen, **more)

    # rules

    def rules(self) -> Iterator[Rule]:
        for family in (INET, INET6):
            with _told("cannot list the routing rules"):
                found = [rule for rule in self._route.get_rules(family=family) if rule.get("protocol") == PROTOCOL]
            for one in found:
                inverted = bool(one["flags"] & INVERT)
                version = 4 if family == INET else 6
                yield Rule(one.get("priority", 0), one.get("table", 0), one.get("fwmark", 0), inverted, version)

    def put_rule(self, rule: Rule) -> None:
        """The kernel keeps several rules of one priority: the one before is removed."""
        with _told(f"cannot add routing rule {rule.priority}"):
            for old in [old for old in self.rules() if old.key == rule.key and old != rule]:
                self.drop_rule(old)
            self._route.rule("add", **_rule(rule))

    def drop_rule(self, rule: Rule) -> None:
        try:
            with _told(f"cannot remove routing rule {rule.priority}"):
                self._route.rule("del", **_rule(rule))
        except AbsentError:
            return

    def _index(self, name: str) -> int:
        with _told(f"cannot look up interface '{name}'"):
            found = self._route.link_lookup(ifname=name)
        return int(found[0]) if found else 0

    def _must_index(self, name: str) -> int:
        index = self._index(name)
        if not index:
            raise AbsentError(f"there is no interface '{name}'")
        return index


@contextmanager
def _told(what: str) -> Iterator[None]:
    try:
        yield
    except NetlinkError as error:
        absent = error.code in {errno.ENODEV, errno.ENOENT, errno.EADDRNOTAVAIL, errno.ESRCH}
        raise (AbsentError if absent else DoorError)(f"{what}: {error.args[1]}") from error
    except OSError as error:
        raise DoorError(f"{what}: {error.strerror or error}") from error


def _link(found: Any) -> Link:
    name, mtu, kind = found.get("ifname"), found.get("mtu"), found.get(("linkinfo", "kind"))
    up = bool(found["flags"] & UP)
    if kind == "wireguard":
        return Link(name, LinkKind.WIREGUARD, mtu, up=up)
    data = found.get(("linkinfo", "data")) if kind == "vxlan" else None
    local, remote = (data and (data.get(f"vxlan_{end}") or data.get(f"vxlan_{end}6")) for end in ("local", "group"))
    if data is None or local is None or remote is None:
        return Link(name, LinkKind.FOREIGN, mtu, up=up)
    vxlan = Vxlan(data.get("vxlan_id"), ip_address(local), ip_address(remote), data.get("vxlan_port"))
    return Link(name, LinkKind.VXLAN, mtu, vxlan, up)


def _rule(rule: Rule) -> dict[str, int]:
    mark = {"fwmark": rule.fwmark, "fwmask": ALL_BITS} if rule.fwmark else {}
    return {
        "family": INET if rule.version == 4 else INET6,
        "priority": rule.priority,
        "table": rule.table,
        "protocol": PROTOCOL,
        "flags": INVERT if rule.inverted else 0,
        **mark,
    }
