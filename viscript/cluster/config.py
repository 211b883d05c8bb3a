"""Reads `cluster.yaml`, which lies beside `config.yaml`. Without the file a board is alone, and nothing listens.

    name: pi-1
    listen: "[fd53::1]:7998"
    operators: ["fd53::2"]
    nodes: {pi-2: "[fd53::2]:7998"}

Addresses are literals: a name that a server on the net resolves would hand that server the board. One file may
serve all boards of a rack: a board finds itself among `nodes` by its name, and skips it.
"""

from __future__ import annotations

import re
import socket
from ipaddress import ip_address
from pathlib import Path

import yaml

from viscript.cluster.model import ClusterConfig, IPAddress
from viscript.launcher.yaml_nodes import NodeReader, compose, read_text
from viscript.signal.errors import AddressError
from viscript.signal.model import Address, read_address

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
ALL = "all"
MAX_NODES = 512
PLACE = 'an address and a port, such as "[fd53::1]:7998"'
SESSION = 'an IPv6 or IPv4 address without a port, such as "fd53::1"'


def load_cluster(path: Path | None) -> ClusterConfig:
    """The file's cluster, or this board alone when there is no such file. Raises ConfigError."""
    if path is None:
        return alone()
    try:
        text = read_text(path)
    except FileNotFoundError:
        return alone()
    return parse_cluster(text, str(path))


def alone() -> ClusterConfig:
    """This board by its host name, and nobody else."""
    name = socket.gethostname().partition(".")[0]
    return ClusterConfig(name if NAME.fullmatch(name) and name != ALL else "here")


def parse_cluster(text: str, source: str) -> ClusterConfig:
    """Raises ConfigError, whose text begins with `source:line:`."""
    root = compose(text, source)
    reader = NodeReader(source)
    top = reader.mapping(root, "the file", {"name", "listen", "operators", "nodes"})
    if "name" not in top:
        raise reader.fail(root, "name", "this board's name")
    name = _read_name(reader, top["name"], "name")
    listen = _read_place(reader, top["listen"], "listen") if "listen" in top else None
    for key in ("operators", "nodes"):
        if key in top and listen is None:
            raise reader.fail(top[key], key, "'listen' beside it: the address that the others know this board by")
    return ClusterConfig(
        name=name,
        listen=listen,
        operators=_read_operators(reader, top["operators"]) if "operators" in top else frozenset(),
        nodes=_read_nodes(reader, top["nodes"], name, listen) if "nodes" in top else {},
    )


def read_literal(text: str) -> IPAddress | None:
    """The address that is one machine's wherever it is said: no name, no wildcard, no group, no scope."""
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return None if "%" in text or address.is_unspecified or address.is_multicast else address


def _read_name(reader: NodeReader, node: yaml.Node, key: str) -> str:
    name = reader.text(node, key)
    if not NAME.fullmatch(name) or name == ALL:
        raise reader.fail(node, key, f"a name of letters, digits, '.', '_' and '-' that is not '{ALL}'")
    return name


def _read_place(reader: NodeReader, node: yaml.Node, key: str) -> Address:
    text = reader.text(node, key)
    try:
        place = read_address(text)
    except AddressError:
        raise reader.fail(node, key, PLACE) from None
    literal = read_literal(place.host)
    if literal is None or not place.port or (literal.version == 6) != text.startswith("["):
        raise reader.fail(node, key, PLACE)
    return Address(str(literal), place.port)


def _read_operators(reader: NodeReader, node: yaml.Node) -> frozenset[IPAddress]:
    if not isinstance(node, yaml.SequenceNode):
        raise reader.fail(node, "operators", 'a list, such as [] or ["fd53::1"]')
    found = set()
    for item in node.value:
        address = read_literal(reader.text(item, "operators"))
        if address is None:
            raise reader.fail(item, "operators", SESSION)
        found.add(address)
    return frozenset(found)


def _read_nodes(reader: NodeReader, node: yaml.Node, own_name: str, listen: Address | None) -> dict[str, Address]:
    entries = reader.mapping(node, "nodes", None)
    if len(entries) > MAX_NODES:
        raise reader.fail(node, "nodes", f"at most {MAX_NODES} boards, not {len(entries)}")
    nodes: dict[str, Address] = {}
    taken: dict[Address, str] = {}
    for name, item in entries.items():
        key = f"nodes.{name}"
        if not NAME.fullmatch(name) or name == ALL:
            raise reader.fail(item, key, f"a name of letters, digits, '.', '_' and '-' that is not '{ALL}'")
        place = _read_place(reader, item, key)
        if (name == own_name) != (place == listen):
            raise reader.fail(item, key, f"this board, '{own_name}', to be at its own address '{listen}' and no other")
        if place in taken:
            raise reader.fail(item, key, f"an address of its own, not that of '{taken[place]}'")
        taken[place] = name
        if name != own_name:
            nodes[name] = place
    return nodes
