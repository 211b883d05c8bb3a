"""The keys of an application's entry in `config.yaml`, and how each value is read. A new key is one line here.

IMAGE_KEYS lower the walls of the sandbox: they are read in the image's own configuration alone, which no one can
write, never in `config.yaml` or in what is deployed.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import yaml

from viscript.launcher.model import Restart
from viscript.launcher.yaml_nodes import NodeReader

if TYPE_CHECKING:
    from collections.abc import Callable

VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
USER = re.compile(r"[a-z_][a-z0-9_-]{0,30}")
CAPABILITIES = frozenset({"CAP_NET_ADMIN", "CAP_NET_BIND_SERVICE", "CAP_NET_RAW"})
"""Those of the network: with any other a program would be root by another name."""
WRITABLE = re.compile(r"(/[A-Za-z0-9_-][A-Za-z0-9._-]*){2,}")
SIZE = re.compile(r"([0-9]{1,19})([KMG]?)")
MAX_SIZE = 2**63 - 1
"""Bytes that systemd and a line of the API can say."""


def parse_size(text: str) -> int | None:
    """Bytes of `128M`, `1G`, `65536`; None when it is not of that form, or more than any machine has."""
    match = SIZE.fullmatch(text)
    size = int(match[1]) << {"": 0, "K": 10, "M": 20, "G": 30}[match[2]] if match else None
    return size if size is None or size <= MAX_SIZE else None


def _size(reader: NodeReader, node: yaml.Node, key: str) -> int:
    size = parse_size(node.value) if isinstance(node, yaml.ScalarNode) else None
    if not size:
        raise reader.fail(node, key, "a size in bytes, such as 128M")
    return size


def _weight(reader: NodeReader, node: yaml.Node, key: str) -> int:
    if isinstance(node, yaml.ScalarNode) and re.fullmatch(r"[0-9]{1,5}", node.value):
        weight = int(node.value)
        if 1 <= weight <= 10_000:
            return weight
    raise reader.fail(node, key, "a whole number from 1 to 10000")


def _seconds(reader: NodeReader, node: yaml.Node, key: str) -> float:
    if isinstance(node, yaml.ScalarNode) and re.fullmatch(r"[0-9]{1,3}(\.[0-9]+)?", node.value):
        seconds = float(node.value)
        if 0 < seconds <= 300:
            return seconds
    raise reader.fail(node, key, "seconds from above 0 to 300")


def _variables(reader: NodeReader, node: yaml.Node, key: str) -> dict[str, str]:
    entries = reader.mapping(node, key, None)
    for name, value in entries.items():
        if not VARIABLE.fullmatch(name) or name.startswith("SIGNAL_"):
            raise reader.fail(value, f"{key}.{name}", "a variable's name that does not begin with SIGNAL_")
    return {name: reader.argument(value, f"{key}.{name}") for name, value in entries.items()}


def _directory(reader: NodeReader, node: yaml.Node, key: str) -> str:
    text = reader.text(node, key)
    if not text.startswith("/"):
        raise reader.fail(node, key, "an absolute path")
    return text


def _user(reader: NodeReader, node: yaml.Node, key: str) -> str:
    text = reader.text(node, key)
    if not USER.fullmatch(text):
        raise reader.fail(node, key, "a user's name")
    return text


def _capabilities(reader: NodeReader, node: yaml.Node, key: str) -> tuple[str, ...]:
    names = reader.arguments(node, key)
    if not CAPABILITIES.issuperset(names):
        raise reader.fail(node, key, f"a list of {', '.join(sorted(CAPABILITIES))}")
    return names


def _writable(reader: NodeReader, node: yaml.Node, key: str) -> tuple[str, ...]:
    paths = reader.arguments(node, key)
    for path in paths:
        if not WRITABLE.fullmatch(path):
            raise reader.fail(node, key, f"absolute paths of plain letters below a first folder; '{path}' is none")
    return paths


def _restart(reader: NodeReader, node: yaml.Node, key: str) -> Restart:
    try:
        return Restart(reader.text(node, key))
    except ValueError:
        raise reader.fail(node, key, "never, on-failure or always") from None


KEYS: dict[str, Callable[[NodeReader, yaml.Node, str], object]] = {
    "daemon": NodeReader.boolean,
    "path": NodeReader.text,
    "default_args": NodeReader.arguments,
    "desc": NodeReader.text,
    "help": NodeReader.text,
    "env": _variables,
    "cwd": _directory,
    "user": _user,
    "restart": _restart,
    "autostart": NodeReader.boolean,
    "after": NodeReader.arguments,
    "memory_max": _size,
    "cpu_weight": _weight,
    "stop_timeout_s": _seconds,
}

IMAGE_KEYS: dict[str, Callable[[NodeReader, yaml.Node, str], object]] = {
    "capabilities": _capabilities,
    "writable": _writable,
}
FIXED_KEYS = frozenset({"path", "user", *IMAGE_KEYS})
"""What of an application of the image is not to be set otherwise."""
