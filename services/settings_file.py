"""Reads a service's YAML file into its frozen words: what every service's config.py stands on.

The words are msgspec's, so each service says its keys by its types; an error names file and line, the key, what was
expected and what was found. Texts may be `Path`; what else they must be a word checks in its `__post_init__`, by a
ValueError. Keys that nobody knows are refused where the word forbids them.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import yaml

from services.errors import SettingsError, shown

T = TypeVar("T")

MAX_BYTES = 1 << 20

_PLACE = re.compile(r"(?P<what>.*?)(?: - at `(?:key in )?\$(?P<path>.*)`)?", re.DOTALL)
_STEP = re.compile(r"\.([^.\[\]]+)|\[(\d+|\.\.\.)\]")
_UNKNOWN = re.compile(r"Object contains unknown field `(.*)`")


def read_settings(path: Path, kind: type[T]) -> T:
    """What the file says. Raises SettingsError."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read: {error.strerror} (name another: --config PATH)") from None
    if len(data) > MAX_BYTES:
        raise SettingsError(f"{path}: larger than {MAX_BYTES} bytes")
    try:
        return parse_settings(data.decode(), kind, str(path))
    except UnicodeDecodeError as error:
        raise SettingsError(f"{path}: is not UTF-8 text (byte {error.start})") from None


def parse_settings(text: str, kind: type[T], source: str) -> T:
    """Raises SettingsError, whose text begins with `source:line:`. An empty text sets nothing."""
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        plain = {} if root is None else _plain(root, source)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise SettingsError(f"{source}:{line}: {error.problem or error}") from None
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise SettingsError(f"{source}: {error}") from None
    try:
        return msgspec.convert(plain, kind, dec_hook=_read_word)
    except msgspec.ValidationError as error:
        raise SettingsError(_told(str(error), root, source)) from None


def _plain(node: yaml.Node, source: str) -> Any:
    """Lists, mappings and scalars; a key given twice is refused."""
    if isinstance(node, yaml.SequenceNode):
        return [_plain(item, source) for item in node.value]
    if not isinstance(node, yaml.MappingNode):
        return yaml.SafeLoader("").construct_object(node)
    found: dict[str, Any] = {}
    for name, value in node.value:
        if not isinstance(name, yaml.ScalarNode) or name.value in found:
            what = f"key {shown(name.value)} is given twice" if isinstance(name, yaml.ScalarNode) else "no key"
            raise SettingsError(f"{source}:{name.start_mark.line + 1}: {what}")
        found[name.value] = _plain(value, source)
    return found


def _read_word(kind: type[Any], value: Any) -> Any:
    if kind is not Path:
        raise NotImplementedError(f"settings have no {kind}")
    if not isinstance(value, str) or not value:
        raise ValueError("expected a path")
    return Path(value)


def _told(text: str, root: yaml.Node | None, source: str) -> str:
    """msgspec's sentence with the line in place of its path."""
    found = _PLACE.fullmatch(text)
    what, path = (found["what"], found["path"] or "") if found else (text, "")
    node, keys = root, list[str]()
    for name, place in _STEP.findall(path):
        keys.append(name or f"[{place}]")
        node = _below(node, name, place) or node
    if (unknown := _UNKNOWN.fullmatch(what)) is not None:
        node = _below(node, unknown[1], "", key=True) or node
        what = f"unknown key '{unknown[1]}'"
    line = node.start_mark.line + 1 if node is not None else 1
    key = ".".join(keys).replace(".[", "[")
    value = f", found {shown(node.value)}" if isinstance(node, yaml.ScalarNode) and unknown is None else ""
    where = f"key '{key}': " if key else ""
    return f"{source}:{line}: {where}{what[:1].lower()}{what[1:].replace('`', chr(39))}{value}"


def _below(node: yaml.Node | None, name: str, place: str, *, key: bool = False) -> yaml.Node | None:
    if isinstance(node, yaml.MappingNode):
        for one, value in node.value:
            if one.value == name:
                found: yaml.Node = one if key else value
                return found
    if isinstance(node, yaml.SequenceNode) and place.isdigit() and int(place) < len(node.value):
        item: yaml.Node = node.value[int(place)]
        return item
    return None
