"""Pure: fills in what a program is told of its host.

${host} ${namespace} ${dir}                 its name, that of its namespace, its folder
${lab} ${tree} ${python}                    the lab's folder, the repository, this Python
${address pi-2} ${mesh pi-2} ${id pi-2}     of a host: its first address on a cable, that in the mesh, its node id
${address} ${mesh} ${mesh first}            of the host itself, and of the first one
${nodes 7998}                               all hosts as YAML, name to "[mesh address]:7998"
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

WORD = re.compile(r"\$\{([^}]*)\}")
PLACES = ("namespace", "dir", "lab", "tree", "python")
FIRST = "first"


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known on one host; the addresses are those of all, in the order of the hosts."""

    host: str
    places: Mapping[str, str]
    addresses: Mapping[str, str]
    mesh: Mapping[str, str]
    ids: Mapping[str, str] = field(default_factory=dict)


def unknown_words(text: str, hosts: Collection[str]) -> list[str]:
    return [word for word in WORD.findall(text) if not _is_known(word, hosts)]


def _is_known(word: str, hosts: Collection[str]) -> bool:
    name, _, rest = word.partition(" ")
    if name in {"address", "mesh", "id"}:
        return rest in {"", FIRST, *hosts}
    if name == "nodes":
        return rest.isdecimal()
    return word in {"host", *PLACES}


def fill(text: str, facts: Facts) -> str:
    return WORD.sub(lambda found: _value(found[1], facts), text)


def _value(word: str, facts: Facts) -> str:
    name, _, rest = word.partition(" ")
    if name == "host":
        return facts.host
    if name == "nodes":
        return json.dumps({host: f"[{address}]:{rest}" for host, address in facts.mesh.items()})
    if name in PLACES:
        return facts.places[name]
    table = {"mesh": facts.mesh, "id": facts.ids}.get(name, facts.addresses)
    return table[next(iter(table)) if rest == FIRST else rest or facts.host]
