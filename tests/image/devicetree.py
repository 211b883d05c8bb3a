"""Device trees as the kernel reads them: nodes, phandles, and which devices a device waits for (its suppliers).

The flat format and the specifier properties are those of the Devicetree Specification 0.4; which properties make a
supplier is drivers/of/property.c of the kernel (of_supplier_bindings).
"""

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

# Property → the property of the supplier that says how many cells follow the phandle; None: phandles alone.
SPECIFIERS: dict[str, str | None] = {
    "clocks": "#clock-cells",
    "dmas": "#dma-cells",
    "extcon": None,
    "firmware": None,
    "interrupts-extended": "#interrupt-cells",
    "iommus": "#iommu-cells",
    "mboxes": "#mbox-cells",
    "mmc-pwrseq": None,
    "msi-parent": "#msi-cells",
    "nvmem-cells": "#nvmem-cell-cells",
    "phy-handle": None,
    "phys": "#phy-cells",
    "power-domains": "#power-domain-cells",
    "pwms": "#pwm-cells",
    "resets": "#reset-cells",
}
PATTERNS: dict[str, str | None] = {
    r"pinctrl-\d+": None,
    r".+-supply": None,
    r"(.+-)?gpios?": "#gpio-cells",
}
BEGIN_NODE, END_NODE, PROPERTY, NOP = 1, 2, 3, 4


@dataclass(eq=False)
class Node:
    """One node; properties as raw bytes."""

    name: str
    parent: "Node | None"
    properties: dict[str, bytes] = field(default_factory=dict)
    children: "list[Node]" = field(default_factory=list)

    @property
    def path(self) -> str:
        return f"{self.parent.path.rstrip('/')}/{self.name}" if self.parent else "/"

    @property
    def compatible(self) -> list[str]:
        return self.strings("compatible")

    @property
    def is_enabled(self) -> bool:
        is_okay = self.strings("status") in ([], ["okay"], ["ok"])
        return is_okay and (self.parent is None or self.parent.is_enabled)

    def strings(self, name: str) -> list[str]:
        raw = self.properties.get(name, b"")
        return raw.decode().rstrip("\0").split("\0") if raw else []

    def cells(self, name: str) -> list[int]:
        raw = self.properties.get(name, b"")
        return list(struct.unpack(f">{len(raw) // 4}I", raw))

    def all(self) -> "Iterator[Node]":
        yield self
        for child in self.children:
            yield from child.all()


class Tree:
    """A dtb."""

    def __init__(self, path: Path) -> None:
        self.root = _read(path.read_bytes())
        self.nodes = {node.path: node for node in self.root.all()}
        self._by_phandle = {node.cells("phandle")[0]: node for node in self.root.all() if "phandle" in node.properties}

    def alias(self, name: str) -> Node:
        return self.nodes[self.nodes["/aliases"].strings(name)[0]]

    def devices(self) -> list[Node]:
        """Enabled nodes that a driver or the core of the kernel takes up; the root names the machine, no device."""
        return [node for node in self.root.all() if node.parent and node.compatible and node.is_enabled]

    def sd_host(self) -> Node:
        """The MMC host with a card that can be taken out; the other one is soldered to the Wi-Fi chip."""
        hosts = [n for n in self.devices() if n.name.startswith("mmc@") and "non-removable" not in n.properties]
        (host,) = hosts
        return host

    def chain(self, device: Node) -> list[Node]:
        """The device and everything that must be there before it, transitively."""
        found: dict[Node, None] = {}
        waiting = [device]
        while waiting:
            node = waiting.pop()
            if node not in found:
                found[node] = None
                waiting += self.suppliers(node)
        return list(found)

    def suppliers(self, node: Node) -> list[Node]:
        """Devices that `node` names, and the one it hangs on. The kernel waits for none that is disabled."""
        named = [target for name in node.properties for target in self._targets(node, name)]
        if "interrupts" in node.properties:
            named.append(self._interrupt_parent(node))
        if node.parent:
            named.append(node.parent)
        owners = [_device_of(target) for target in named]
        return [owner for owner in owners if owner and owner.is_enabled]

    def _targets(self, node: Node, name: str) -> Iterator[Node]:
        if name not in SPECIFIERS and not any(re.fullmatch(pattern, name) for pattern in PATTERNS):
            return
        counter = SPECIFIERS.get(name) or next((c for p, c in PATTERNS.items() if re.fullmatch(p, name)), None)
        cells = node.cells(name)
        while cells:
            phandle, *cells = cells
            if phandle:  # 0 is a gap in the list
                target = self._by_phandle[phandle]
                yield target
                if counter and (counted := target.cells(counter)):
                    cells = cells[counted[0] :]

    def _interrupt_parent(self, node: Node) -> Node:
        """As of_irq_find_parent: the nearest `interrupt-parent` upwards, or a parent that is a controller itself."""
        at: Node | None = node
        while at:
            parent = (
                self._by_phandle[at.cells("interrupt-parent")[0]] if "interrupt-parent" in at.properties else at.parent
            )
            if parent and "#interrupt-cells" in parent.properties:
                return parent
            at = parent
        raise LookupError(f"{node.path} has interrupts and no controller")


def _device_of(node: Node) -> Node | None:
    """A pin state or a port belongs to the device above it."""
    at: Node | None = node
    while at and not at.compatible:
        at = at.parent
    return at if at and at.parent else None


def _read(dtb: bytes) -> Node:
    magic, _, structure, names = struct.unpack_from(">4I", dtb)
    if magic != 0xD00DFEED:
        raise ValueError("not a device tree")
    top = Node("", None)
    at, place = top, structure
    while True:
        (token,) = struct.unpack_from(">I", dtb, place)
        place += 4
        if token == BEGIN_NODE:
            end = dtb.index(b"\0", place)
            at = Node(dtb[place:end].decode(), at)
            if at.parent:
                at.parent.children.append(at)
            place = _align(end + 1)
        elif token == END_NODE:
            if at.parent is top:
                at.parent = None
                return at
            assert at.parent
            at = at.parent
        elif token == PROPERTY:
            size, name = struct.unpack_from(">2I", dtb, place)
            place += 8
            key = dtb[names + name : dtb.index(b"\0", names + name)].decode()
            at.properties[key] = dtb[place : place + size]
            place = _align(place + size)
        elif token != NOP:
            raise ValueError(f"token {token} at {place}")


def _align(place: int) -> int:
    return (place + 3) & ~3
