"""`tests/prove services`: the rows of the services on the mesh, a module for each part, whose `rows()` yields them as
they are seen. A part breaks as a row that fails, and the others go on.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from importlib.util import find_spec
from typing import Protocol, cast

from tests.boot.rows import Row, Table

TITLES = {
    "apptracker": "apptracker: a directory whose entries are leased",
    "socks": "SOCKS: real clients through server and client, and bad company",
    "vpn": "VPN: packets in the kernel, and nothing beside the tunnel",
    "messenger": "messages and files between boards",
    "peering": "two clusters that peer by public key",
    "sites": "two sites behind NAT, a laptop, and a web server beyond",
}


class Part(Protocol):
    def rows(self) -> Iterable[Row]: ...


def names() -> list[str]:
    """The parts that there are."""
    return [name for name in TITLES if find_spec(f"{__name__}.{name}")]


def prove(parts: set[str]) -> list[Table]:
    tables = []
    for name in names():
        if name in parts:
            tables.append(Table(TITLES[name]))
            _fill(tables[-1], name)
    return tables


def _fill(table: Table, name: str) -> None:
    try:
        for row in cast("Part", importlib.import_module(f"{__name__}.{name}")).rows():
            table.add(row.claim, row.seen, row.ok, aim=row.aim)
    except Exception as error:  # whatever a part meets is a row like another
        table.add(f"all rows of '{name}' can be looked at", f"{type(error).__name__}: {error}", False)
