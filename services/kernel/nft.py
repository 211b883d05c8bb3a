"""The door to nftables: the library libnftables in this process, elements and listings in its JSON. The `nft` program
costs a process for each change, many times the price of adding a label; the library's Python module is Debian's alone
and no more than the few calls bound here. The library lets the interpreter's lock go, so a long listing delays no other
thread. It has no time-out: what it asks is answered by the kernel at once.

A door belongs to the network namespace it was made in.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterable, Iterator
from ipaddress import ip_address
from typing import Any

import msgspec

from services.kernel.errors import AbsentError, DoorError
from services.kernel.meter import Meter, Pair
from services.kernel.model import Change, Count, Element, Fact, Put, Rules, Table

LIBRARY = "libnftables.so.1"
JSON_OUTPUT = 1 << 4
FAMILY, NAME, MARK = "inet", "skywire", "rules_"
ADDRESS_FIRST = {Table.OUTER4, Table.OUTER6, Table.WIRES4, Table.WIRES6, Table.GRANTED}


class _Named(msgspec.Struct):
    name: str = ""
    table: str = ""
    packets: int = 0
    bytes: int = 0


class _Inner(msgspec.Struct):
    val: Any


class _Elem(msgspec.Struct):
    elem: _Inner


class _Set(msgspec.Struct):
    name: str
    elem: list[Any] = []


class _Object(msgspec.Struct):
    set: _Set | None = None
    chain: _Named | None = None
    counter: _Named | None = None


class _Listing(msgspec.Struct):
    nftables: list[_Object]


_listing = msgspec.json.Decoder(_Listing)


class Nft:
    def __init__(self) -> None:
        self._library = _bind()
        self._context = self._library.nft_ctx_new(0)
        if not self._context:
            raise DoorError("cannot open nftables: run as root, with nf_tables in the kernel")
        self._library.nft_ctx_buffer_output(self._context)
        self._library.nft_ctx_buffer_error(self._context)
        self._library.nft_ctx_output_set_flags(self._context, JSON_OUTPUT)
        self._meter = Meter(NAME, Table.PAIRS)

    def close(self) -> None:
        self._meter.close()
        if self._context:
            self._library.nft_ctx_free(self._context)
            self._context = None

    def read(self) -> Iterator[Fact]:
        """The rules' mark and every element; nothing, if the table is not there."""
        for found in self._list("chains inet"):
            if found.chain and found.chain.table == NAME and found.chain.name.startswith(MARK):
                yield Rules(found.chain.name.removeprefix(MARK))
                break
        else:
            return
        for table in Table:
            if table is Table.PAIRS:
                yield from (Element(table, value) for value, _ in self._meter.read())
                continue
            for found in self._list(f"set {FAMILY} {NAME} {table}"):
                if found.set:
                    yield from (Element(table, _value(table, elem)) for elem in found.set.elem)

    def put_rules(self, rules: Rules) -> None:
        """In one transaction, over whatever rules there are; sets, elements and counters stay."""
        old = [found.chain.name for found in self._list("chains inet") if found.chain and found.chain.table == NAME]
        marks = [name for name in old if name.startswith(MARK) and name != MARK + rules.mark]
        lines = [rules.text, *(f"delete chain {FAMILY} {NAME} {name}" for name in marks)]
        self._run("\n".join([*lines, f"add chain {FAMILY} {NAME} {MARK}{rules.mark}", ""]))

    def drop_rules(self) -> None:
        self._run(f"delete table {FAMILY} {NAME}")

    def change(self, changes: Iterable[Change]) -> None:
        """Elements are added and removed in one transaction: all of it happens or nothing."""
        commands: list[tuple[str, Table, list[object]]] = []
        for change in changes:
            fact, verb = change.fact, "add" if isinstance(change, Put) else "delete"
            assert isinstance(fact, Element)
            if not commands or commands[-1][:2] != (verb, fact.table):
                commands.append((verb, fact.table, []))
            commands[-1][2].append(_json(fact))
        self._run(_encoded(commands))

    def counters(self) -> dict[Pair, Count]:
        """(device, source, destination) → what the pair has forwarded. Costs some microseconds a pair."""
        return dict(self._meter.read())

    def refusals(self) -> dict[str, Count]:
        """What was dropped: forged, strayed, refused, hijacked, injected. `rules` says where each is counted."""
        found = [item.counter for item in self._list(f"counters table {FAMILY} {NAME}") if item.counter]
        return {counter.name: Count(counter.packets, counter.bytes) for counter in found}

    def _list(self, what: str) -> list[_Object]:
        return _listing.decode(self._run(f"list {what}")).nftables

    def _run(self, command: str) -> bytes:
        failed = self._library.nft_run_cmd_from_buffer(self._context, command.encode())
        output: bytes = self._library.nft_ctx_get_output_buffer(self._context)
        error: bytes = self._library.nft_ctx_get_error_buffer(self._context)
        if failed:
            reason = error.decode(errors="replace").strip().partition("\n")[0]
            raise (AbsentError if "No such file" in reason else DoorError)(f"nftables refused: {reason}")
        return output


def _bind() -> ctypes.CDLL:
    try:
        library = ctypes.CDLL(LIBRARY)
    except OSError as error:
        raise DoorError(f"cannot load '{LIBRARY}': install the package libnftables1") from error
    pointer, text = ctypes.c_void_p, ctypes.c_char_p
    library.nft_ctx_new.restype, library.nft_ctx_new.argtypes = pointer, [ctypes.c_uint32]
    library.nft_ctx_free.restype, library.nft_ctx_free.argtypes = None, [pointer]
    for name in ("nft_ctx_buffer_output", "nft_ctx_buffer_error"):
        getattr(library, name).argtypes = [pointer]
    for name in ("nft_ctx_get_output_buffer", "nft_ctx_get_error_buffer"):
        getattr(library, name).restype, getattr(library, name).argtypes = text, [pointer]
    library.nft_ctx_output_set_flags.restype = None
    library.nft_ctx_output_set_flags.argtypes = [pointer, ctypes.c_uint]
    library.nft_run_cmd_from_buffer.argtypes = [pointer, text]
    return library


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
