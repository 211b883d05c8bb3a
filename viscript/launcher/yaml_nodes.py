"""Takes YAML nodes apart by the type expected there, for every configuration file of viscript's.

Works on nodes and not on plain data, because an error must name the line. Nothing here knows a key.
"""

from __future__ import annotations

from pathlib import Path

import yaml

from viscript.errors import ConfigError

MAX_BYTES = 1 << 20
_TAG = "tag:yaml.org,2002:"


def read_text(path: Path) -> str:
    """A configuration file's text. Raises FileNotFoundError, or ConfigError for one that cannot be used."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
        if len(data) > MAX_BYTES:
            raise ConfigError(f"{path}: larger than {MAX_BYTES} bytes")
        return data.decode()
    except FileNotFoundError:
        raise
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: is not UTF-8 text (byte {error.start})") from error


def compose(text: str, source: str) -> yaml.Node:
    """The document's root node. Raises ConfigError, whose text begins with `source:line:`."""
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise ConfigError(f"{source}:{line}: {error.problem or error}") from error
    except (yaml.YAMLError, RecursionError) as error:
        raise ConfigError(f"{source}: {error}") from error
    if root is None:
        raise ConfigError(f"{source}:1: the file is empty, expected a mapping")
    return root


class NodeReader:
    """Takes YAML nodes apart by the type expected there."""

    def __init__(self, source: str) -> None:
        self._source = source

    def fail(self, node: yaml.Node, key: str, expected: str) -> ConfigError:
        found = f", found {node.value!r}" if isinstance(node, yaml.ScalarNode) else ""
        return ConfigError(f"{self._source}:{node.start_mark.line + 1}: key '{key}': expected {expected}{found}")

    def mapping(self, node: yaml.Node, key: str, known: set[str] | None) -> dict[str, yaml.Node]:
        """The entries; with `known`, any other key is refused."""
        if not isinstance(node, yaml.MappingNode):
            raise self.fail(node, key, "a mapping")
        entries: dict[str, yaml.Node] = {}
        for name_node, value in node.value:
            name = self.text(name_node, key)
            where = f"{self._source}:{name_node.start_mark.line + 1}"
            if known is not None and name not in known:
                raise ConfigError(f"{where}: unknown key '{name}' in {key}; known: {', '.join(sorted(known))}")
            if name in entries:
                raise ConfigError(f"{where}: key '{name}' is given twice in {key}")
            entries[name] = value
        return entries

    def text(self, node: yaml.Node, key: str) -> str:
        if not isinstance(node, yaml.ScalarNode) or node.tag != _TAG + "str":
            raise self.fail(node, key, "text (put numbers and words like 'yes' in quotes)")
        if "\0" in node.value:
            raise self.fail(node, key, "text without NUL")
        return str(node.value)

    def boolean(self, node: yaml.Node, key: str) -> bool:
        if not isinstance(node, yaml.ScalarNode) or node.tag != _TAG + "bool":
            raise self.fail(node, key, "true or false")
        return str(node.value).lower() in {"true", "yes", "on"}

    def argument(self, node: yaml.Node, key: str) -> str:
        """Text as it is written: `20000` and `yes` stay what a program would read on a command line."""
        if not isinstance(node, yaml.ScalarNode) or "\0" in node.value:
            raise self.fail(node, key, "a list of words")
        return str(node.value)

    def arguments(self, node: yaml.Node, key: str) -> tuple[str, ...]:
        if not isinstance(node, yaml.SequenceNode):
            raise self.fail(node, key, 'a list, such as [] or ["127.0.0.1:20000"]')
        return tuple(self.argument(item, key) for item in node.value)
