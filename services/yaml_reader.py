"""Takes a YAML file apart by the type expected at each place, for the services' configuration files.

Works on YAML's nodes and not on plain data, because an error must name the line. Nothing here knows a key.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import yaml

from services.errors import ConfigError, shown

T = TypeVar("T")

MAX_BYTES = 1 << 20
_TAG = "tag:yaml.org,2002:"


class Entry:
    """One place of the file, still to be understood. Every method raises ConfigError, as `file:line: key '…': …`."""

    def __init__(self, node: yaml.Node, source: str, key: str) -> None:
        self._node, self._source, self.key = node, source, key

    def fail(self, expected: str) -> ConfigError:
        found = f", found {shown(str(self._node.value))}" if isinstance(self._node, yaml.ScalarNode) else ""
        return ConfigError(f"{self._place(self._node)}: key '{self.key}': expected {expected}{found}")

    def entries(self, known: set[str]) -> dict[str, Entry]:
        """A mapping's; any other key than those known is refused."""
        if not isinstance(self._node, yaml.MappingNode):
            raise self.fail("a mapping")
        found: dict[str, Entry] = {}
        for name_node, value in self._node.value:
            name = Entry(name_node, self._source, self.key).text()
            where = f"{self._place(name_node)}: key {shown(name)}"
            if name not in known:
                raise ConfigError(f"{where} is unknown here; known: {', '.join(sorted(known))}")
            if name in found:
                raise ConfigError(f"{where} is given twice")
            found[name] = Entry(value, self._source, name)
        return found

    def items(self) -> Iterator[Entry]:
        """A list's."""
        if not isinstance(self._node, yaml.SequenceNode):
            raise self.fail("a list, such as [] or [a, b]")
        yield from (Entry(item, self._source, self.key) for item in self._node.value)

    def text(self) -> str:
        if not isinstance(self._node, yaml.ScalarNode) or self._node.tag != _TAG + "str" or "\0" in self._node.value:
            raise self.fail("text (put numbers and words like 'yes' in quotes)")
        return str(self._node.value)

    def boolean(self) -> bool:
        if not isinstance(self._node, yaml.ScalarNode) or self._node.tag != _TAG + "bool":
            raise self.fail("true or false")
        return str(self._node.value).lower() in {"true", "yes", "on"}

    def number(self, least: int, most: int) -> int:
        expected = f"a whole number from {least} to {most}"
        if not isinstance(self._node, yaml.ScalarNode) or self._node.tag != _TAG + "int":
            raise self.fail(expected)
        try:
            number = int(self._node.value)
        except ValueError:  # such as 0x10 or 1_000
            raise self.fail(expected) from None
        if not least <= number <= most:
            raise self.fail(expected)
        return number

    def port(self) -> int:
        return self.number(1, 65535)

    def read(self, make: Callable[[str], T], expected: str) -> T:
        """What `make` makes of the text; its ValueError, or an error of ours, means that it is not `expected`."""
        try:
            return make(self.text())
        except ConfigError:
            raise
        except ValueError:
            raise self.fail(expected) from None

    def _place(self, node: yaml.Node) -> str:
        return f"{self._source}:{node.start_mark.line + 1}"


def read_file(path: Path) -> Entry | None:
    """The file's root; None for an empty one. Raises FileNotFoundError, ConfigError."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
        text = data.decode()
    except FileNotFoundError:
        raise
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: is not UTF-8 text (byte {error.start})") from error
    if len(data) > MAX_BYTES:
        raise ConfigError(f"{path}: larger than {MAX_BYTES} bytes")
    return read_text(text, str(path))


def read_text(text: str, source: str) -> Entry | None:
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise ConfigError(f"{source}:{line}: {error.problem or error}") from error
    except (yaml.YAMLError, RecursionError) as error:
        raise ConfigError(f"{source}: {error}") from error
    return Entry(root, source, "the file") if root is not None else None
