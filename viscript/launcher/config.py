"""Reads `config.yaml`, in the original's form with optional keys beyond it.

Parsing works on YAML nodes and not on plain data, because an error must name the line. A key that this
version does not act on is refused, never silently ignored. Nothing here starts a program or looks at the
disk beyond the one file.
"""

from __future__ import annotations

import re
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from viscript.errors import ConfigError
from viscript.launcher.model import App, Config

if TYPE_CHECKING:
    from collections.abc import Callable

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
SIZE = re.compile(r"([0-9]+)([KMG]?)")
MAX_BYTES = 1 << 20
DEFAULT_CONFIG = "default_config.yaml"
_TAG = "tag:yaml.org,2002:"


def load_config(path: Path | None) -> Config:
    """The file's configuration, or the packaged default when there is no such file. Raises ConfigError."""
    if path is not None:
        try:
            with path.open("rb") as file:
                data = file.read(MAX_BYTES + 1)
            if len(data) > MAX_BYTES:
                raise ConfigError(f"{path}: larger than {MAX_BYTES} bytes")
            return parse_config(data.decode(), str(path))
        except FileNotFoundError:
            pass
        except OSError as error:
            raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
        except UnicodeDecodeError as error:
            raise ConfigError(f"{path}: is not UTF-8 text (byte {error.start})") from error
    return parse_config(resources.files("viscript").joinpath(DEFAULT_CONFIG).read_text("utf-8"), DEFAULT_CONFIG)


def parse_config(text: str, source: str) -> Config:
    """Raises ConfigError, whose text begins with `source:line:`."""
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise ConfigError(f"{source}:{line}: {error.problem or error}") from error
    except (yaml.YAMLError, RecursionError) as error:
        raise ConfigError(f"{source}: {error}") from error
    reader = _Reader(source)
    if root is None:
        raise ConfigError(f"{source}:1: the file is empty, expected a mapping with the key 'apps'")
    top = reader.mapping(root, "the file", {"apps", "settings"})
    if "apps" not in top:
        raise ConfigError(f"{source}:1: key 'apps' is missing")
    settings = reader.mapping(top["settings"], "settings", {"runHeadless"}) if "settings" in top else {}
    headless = settings.get("runHeadless")
    return Config(
        apps={name: _read_app(reader, name, node) for name, node in _app_nodes(reader, top["apps"]).items()},
        run_headless=True if headless is None else reader.boolean(headless, "settings.runHeadless"),
        source=source,
    )


def parse_size(text: str) -> int | None:
    """Bytes of `128M`, `1G`, `65536`; None when it is not of that form."""
    match = SIZE.fullmatch(text)
    return int(match[1]) << {"": 0, "K": 10, "M": 20, "G": 30}[match[2]] if match else None


class _Reader:
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

    def size(self, node: yaml.Node, key: str) -> int:
        size = parse_size(node.value) if isinstance(node, yaml.ScalarNode) else None
        if not size:
            raise self.fail(node, key, "a size in bytes, such as 128M")
        return size

    def weight(self, node: yaml.Node, key: str) -> int:
        if isinstance(node, yaml.ScalarNode) and re.fullmatch(r"[0-9]{1,5}", node.value):
            weight = int(node.value)
            if 1 <= weight <= 10_000:
                return weight
        raise self.fail(node, key, "a whole number from 1 to 10000")

    def seconds(self, node: yaml.Node, key: str) -> float:
        if isinstance(node, yaml.ScalarNode) and re.fullmatch(r"[0-9]{1,3}(\.[0-9]+)?", node.value):
            seconds = float(node.value)
            if 0 < seconds <= 300:
                return seconds
        raise self.fail(node, key, "seconds from above 0 to 300")

    def variables(self, node: yaml.Node, key: str) -> dict[str, str]:
        entries = self.mapping(node, key, None)
        for name, value in entries.items():
            if not VARIABLE.fullmatch(name) or name.startswith("SIGNAL_"):
                raise self.fail(value, f"{key}.{name}", "a variable's name that does not begin with SIGNAL_")
        return {name: self.argument(value, f"{key}.{name}") for name, value in entries.items()}

    def directory(self, node: yaml.Node, key: str) -> str:
        text = self.text(node, key)
        if not text.startswith("/"):
            raise self.fail(node, key, "an absolute path")
        return text


KEYS: dict[str, Callable[[_Reader, yaml.Node, str], object]] = {
    "daemon": _Reader.boolean,
    "path": _Reader.text,
    "default_args": _Reader.arguments,
    "desc": _Reader.text,
    "help": _Reader.text,
    "env": _Reader.variables,
    "cwd": _Reader.directory,
    "memory_max": _Reader.size,
    "cpu_weight": _Reader.weight,
    "stop_timeout_s": _Reader.seconds,
}
"""Every key of an application and how its value is read; one that is not here is refused by name."""


def _app_nodes(reader: _Reader, node: yaml.Node) -> dict[str, yaml.Node]:
    apps = reader.mapping(node, "apps", None)
    for name, entry in apps.items():
        if not NAME.fullmatch(name):
            raise reader.fail(entry, f"apps.{name}", "a name of letters, digits, '.', '_' and '-'")
    return apps


def _read_app(reader: _Reader, name: str, node: yaml.Node) -> App:
    entries = reader.mapping(node, f"apps.{name}", set(KEYS))
    if "path" not in entries:
        raise reader.fail(node, f"apps.{name}.path", "the program's path")
    values = {key: KEYS[key](reader, value, f"apps.{name}.{key}") for key, value in entries.items()}
    if not values["path"]:
        raise reader.fail(entries["path"], f"apps.{name}.path", "the program's path")
    return App(name=name, **values)  # type: ignore[arg-type]
