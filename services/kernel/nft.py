"""The door to the mesh's nftables table, `inet skywire`: its rules as text, elements and counters as facts. A door
belongs to the network namespace it was made in.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from ipaddress import ip_address
from typing import Any

import msgspec

from services.kernel.errors import AbsentError
from services.kernel.meter import Meter, Pair
from services.kernel.model import Change, Count, Element, Fact, Put, Rules, Table
from services.kernel.nft_library import Library

FAMILY, NAME, MARK = "inet", "skywire", "rules_"
ADDRESS_FIRST = {
    Table.OUTER4,
    Table.OUTER6,
    Table.WIRES4,
    Table.WIRES6,
    Table.GRANTED,
    Table.FOREIGN,
    Table.EXITS4,
    Table.EXITS6,
}


class _Inner(msgspec.Struct):
    val: Any


class _Elem(msgspec.Struct):
    elem: _Inner


class Nft:
    def __init__(self) -> None:
        self._library = Library()
        self._meter = Meter(NAME, Table.PAIRS)

    def close(self) -> None:
        self._meter.close()
        self._library.close()

    def read(self) -> Iterator[Fact]:
        """The rules' mark and every element; nothing, if the table is not there."""
        for found in self._library.list("chains inet"):
            if found.chain and found.chain.table == NAME and found.chain.name.startswith(MARK):
                yield Rules(found.chain.name.removeprefix(MARK))
                break
        else:
            return
        for table in Table:
            if table is Table.PAIRS:
                yield from (Element(table, value) for value, _ in self._meter.read())
                continue
            with contextlib.suppress(AbsentError):  # an older version's rules have not all of them
                for found in self._library.list(f"set {FAMILY} {NAME} {table}"):
                    if found.set:
                        yield from (Element(table, _value(table, elem)) for elem in found.set.elem)

    def put_rules(self, rules: Rules) -> None:
        """In one transaction, over whatever rules there are; sets, elements and counters stay."""
        old = [
            found.chain.name for found in self._library.list("chains inet") if found.chain and found.chain.table == NAME
        ]
        marks = [name for name in old if name.startswith(MARK) and name != MARK + rules.mark]
        lines = [rules.text, *(f"delete chain {FAMILY} {NAME} {name}" for name in marks)]
        self._library.run("\n".join([*lines, f"add chain {FAMILY} {NAME} {MARK}{rules.mark}", ""]))

    def drop_rules(self) -> None:
        self._library.run(f"delete table {FAMILY} {NAME}")

    def change(self, changes: Iterable[Change]) -> None:
        """Elements are added and removed in one transaction: all of it happens or nothing."""
        commands: list[tuple[str, Table, list[object]]] = []
        for change in changes:
            fact, verb = change.fact, "add" if isinstance(change, Put) else "delete"
            assert isinstance(fact, Element)
            if not commands or commands[-1][:2] != (verb, fact.table):
                commands.append((verb, fact.table, []))
            commands[-1][2].append(_json(fact))
        self._library.run(_encoded(commands))

    def counters(self) -> dict[Pair, Count]:
        """(device, source, destination) → what the pair has forwarded. Costs some microseconds a pair."""
        return dict(self._meter.read())

    def refusals(self) -> dict[str, Count]:
        """What was dropped: forged, strayed, refused, hijacked, injected. `rules` says where each is counted."""
        found = [item.counter for item in self._library.list(f"counters table {FAMILY} {NAME}") if item.counter]
        return {counter.name: Count(counter.packets, counter.bytes) for counter in found}


def _json(element: Element) -> object:
    return element.value[0] if len(element.value) == 1 else {"concat": element.value}


def _encoded(commands: list[tuple[str, Table, list[object]]]) -> str:
    bodies = [
        {verb: {"element": {"family": FAMILY, "table": NAME, "name": table, "elem": elements}}}
        for verb, table, elements in commands
    ]
    return msgspec.json.encode({"nftables": bodies}).decode()


def _value(table: Table, found: Any) -> tuple[str | int, ...]:
    inner = msgspec.convert(found, _Elem).elem.val if isinstance(found, dict) and "elem" in found else found
    parts = tuple(inner["concat"]) if isinstance(inner, dict) else (inner,)
    if table in ADDRESS_FIRST:
        return (str(ip_address(parts[0])), *parts[1:])
    return parts
