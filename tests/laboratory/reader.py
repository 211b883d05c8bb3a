"""Numbers with units, names and choices out of YAML, with the file and line in every error."""

from __future__ import annotations

import re
from enum import Enum
from ipaddress import IPv4Network
from typing import TypeVar

import yaml

from viscript.launcher.yaml_nodes import NodeReader

NAME = re.compile(r"[a-z][a-z0-9-]{0,14}")
RESERVED = {"all", "bridge", "default", "first", "lo", "mesh", "sky-link", "sky0"}
"""Names that would also be a device's or a word of the laboratory's own."""

UNITS = {"kbit": 10**3, "mbit": 10**6, "gbit": 10**9}
Choice = TypeVar("Choice", bound=Enum)


class Reader(NodeReader):
    def items(self, node: yaml.Node, key: str) -> list[yaml.Node]:
        if not isinstance(node, yaml.SequenceNode):
            raise self.fail(node, key, "a list")
        return list(node.value)

    def words(self, node: yaml.Node, key: str) -> tuple[str, ...]:
        """A command line: at least the program."""
        found = self.arguments(node, key)
        if not found or not found[0]:
            raise self.fail(node, key, "a list that begins with a program")
        return found

    def whole(self, node: yaml.Node, key: str, low: int, high: int) -> int:
        text = node.value if isinstance(node, yaml.ScalarNode) else ""
        if not re.fullmatch(r"\d{1,9}", str(text)) or not low <= int(text) <= high:
            raise self.fail(node, key, f"a whole number from {low} to {high}")
        return int(text)

    def seconds(self, node: yaml.Node, key: str) -> float:
        return self._with_unit(node, key, r"s", "seconds, such as 30s")

    def milliseconds(self, node: yaml.Node, key: str) -> float:
        return self._with_unit(node, key, r"ms", "milliseconds, such as 20ms")

    def share(self, node: yaml.Node, key: str) -> float:
        percent = self._with_unit(node, key, r"%", "a share from 0% to 100%, such as 0.5%")
        if percent > 100:
            raise self.fail(node, key, "a share from 0% to 100%, such as 0.5%")
        return percent / 100

    def bits(self, node: yaml.Node, key: str) -> int:
        for unit, factor in UNITS.items():
            if isinstance(node, yaml.ScalarNode) and str(node.value).endswith(unit):
                bits = int(self._with_unit(node, key, unit, "a rate such as 10mbit") * factor)
                if bits >= 8000:
                    return bits
        raise self.fail(node, key, "a rate of at least 8kbit in kbit, mbit or gbit, such as 10mbit")

    def name(self, node: yaml.Node, key: str) -> str:
        text = self.text(node, key)
        if not NAME.fullmatch(text) or text in RESERVED:
            raise self.fail(node, key, "a name: a letter, then up to 14 of a-z, 0-9 and '-'; not one of the lab's own")
        return text

    def one_of(self, node: yaml.Node, key: str, kind: type[Choice]) -> Choice:
        text = self.text(node, key)
        for choice in kind:
            if choice.value == text:
                return choice
        raise self.fail(node, key, " or ".join(choice.value for choice in kind))

    def subnet(self, node: yaml.Node, key: str) -> IPv4Network:
        try:
            found = IPv4Network(self.text(node, key))
        except ValueError:
            raise self.fail(node, key, "an IPv4 network such as 192.168.1.0/24") from None
        if not 8 <= found.prefixlen <= 29:
            raise self.fail(node, key, "an IPv4 network from /8 to /29")
        return found

    def _with_unit(self, node: yaml.Node, key: str, unit: str, expected: str) -> float:
        text = node.value if isinstance(node, yaml.ScalarNode) else ""
        found = re.fullmatch(rf"(\d{{1,9}}(?:\.\d{{1,6}})?){unit}", str(text))
        if not found:
            raise self.fail(node, key, expected)
        return float(found[1])
