"""Run in a namespace: what a book says of an apply that half failed, before and after its cause is gone.

Somebody else's interface has the number of our wire. Prints JSON lines for the test.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
from ipaddress import IPv4Address, IPv6Interface, IPv6Network

from services.kernel import rules
from services.kernel.model import (
    FIRST_VNI,
    LINKS,
    Address,
    AllowedIp,
    Fact,
    Link,
    LinkKind,
    Peer,
    Report,
    Vxlan,
    wire_name,
)
from services.keys import Identity, new_seed
from services.node.book import Book
from services.node.kernel_thread import Kernel
from services.node.own import own_facts

VNI = FIRST_VNI + 7
HERE, THERE = IPv4Address("10.0.0.1"), IPv4Address("10.0.0.2")
KEY = bytes(range(32))


def ip_link(*words: str) -> None:
    subprocess.run(["ip", "link", *words], check=True, timeout=30)


def tell(what: str, report: Report, book: Book) -> None:
    failed = [type(failure.change.fact).__name__ for failure in report.failed]
    done = [type(change.fact).__name__ for change in report.done]
    print(json.dumps({"what": what, "done": done, "failed": failed, "dirty": book.dirty.is_set()}), flush=True)


async def main() -> None:
    kernel = Kernel()
    book = Book(kernel)
    await kernel.start()
    await book.set("own", own_facts(Identity(new_seed()), rules.Settings()))
    tell("start", await book.start(), book)
    ip_link("add", "foreign", *f"type vxlan id {VNI} remote {THERE} dstport 4789".split())
    wire: list[Fact] = [
        Link(wire_name(VNI), LinkKind.VXLAN, 1450, Vxlan(VNI, HERE, THERE)),
        Address(wire_name(VNI), IPv6Interface("fe80::7/64")),
        Peer(LINKS, KEY),
        AllowedIp(LINKS, IPv6Network("fd4c::7/128"), KEY),
    ]
    tell("half", await book.set("link:x", wire), book)
    tell("still", await book.reconcile(), book)
    ip_link("del", "foreign")
    tell("whole", await book.reconcile(), book)
    tell("again", await book.reconcile(), book)
    ip_link("del", wire_name(VNI))
    tell("mended", await book.reconcile(), book)
    tell("cleared", await book.clear(), book)
    await kernel.close()


if __name__ == "__main__":
    asyncio.run(main())
