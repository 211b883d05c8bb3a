"""Reads a service's YAML file into its frozen words: what every service's config.py stands on.

The words are msgspec's, so each service says its keys by its types; an error names file and line, the key, what was
expected and what was found. Texts may be `Path`, or of a type with a class method `read_setting(text)`; what else they
must be a word checks in its `__post_init__`. Both tell by a ValueError. Keys that nobody knows are refused where the
word forbids them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
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


def read_settings(path: Path, kind: type[T], defaults: Path | Sequence[Path] | None = None) -> T:
    """What the file says, laid key by key over what `defaults` say, each of which lies over those before it. With any,
    only the first of them must exist. Raises SettingsError.
    """
    first, *rest = [defaults] if isinstance(defaults, Path) else defaults or [path]
    layers = [first, *(layer for layer in (*rest, path) if layer != first and layer.exists())]
    return _convert([_Document(_read(layer), str(layer)) for layer in reversed(layers)], kind)


def load_settings(
    kind: type[T], named: Path | None, defaults: Path | Sequence[Path] | None, usual: Path | None = None
) -> T:
    """Of the file that somebody named, else the `usual` one, over `defaults`. Named, it must be there, unless there are
    defaults; where there is nothing at all, everything is as it is without a word. Raises SettingsError.
    """
    if not defaults and named is None and (usual is None or not usual.exists()):
        return parse_settings("", kind, "no file")
    under = [defaults] if isinstance(defaults, Path) else [*(defaults or ())]
    return read_settings(named or usual or under[0], kind, under)


def parse_settings(text: str, kind: type[T], source: str) -> T:
    """Raises SettingsError, whose text begins with `source:line:`. An empty text sets nothing."""
    return _convert([_Document(text, source)], kind)


class _Document:
    """One file: its nodes, which know their lines, and what they say."""

    def __init__(self, text: str, source: str) -> None:
        self.source = source
        try:
            self.root = yaml.compose(text, Loader=yaml.SafeLoader)
            self.plain = {} if self.root is None else _plain(self.root, source)
        except yaml.MarkedYAMLError as error:
            line = error.problem_mark.line + 1 if error.problem_mark else 1
            raise SettingsError(f"{source}:{line}: {error.problem or error}") from None
        except (yaml.YAMLError, RecursionError, ValueError) as error:
            raise SettingsError(f"{source}: {error}") from None


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read: {error.strerror} (name another: --config PATH)") from None
    if len(data) > MAX_BYTES:
        raise SettingsError(f"{path}: larger than {MAX_BYTES} bytes")
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise SettingsError(f"{path}: is not UTF-8 text (byte {error.start})") from None


def _convert(documents: list[_Document], kind: type[T]) -> T:
    """Each lies over those after it."""
    plain = documents[-1].plain
    for document in documents[-2::-1]:
        plain = _laid_over(document.plain, plain)
    try:
        return msgspec.convert(plain, kind, dec_hook=_read_word)
    except msgspec.ValidationError as error:
        raise SettingsError(_told(str(error), documents)) from None


def _laid_over(upper: Any, lower: Any) -> Any:
    """Mappings key by key; anything else as a whole."""
    if not (isinstance(upper, dict) and isinstance(lower, dict)):
        return upper
    return {**lower, **{key: _laid_over(value, lower.get(key)) for key, value in upper.items()}}


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
    if hasattr(kind, "read_setting"):
        if not isinstance(value, str):
            raise ValueError("expected text")
        return kind.read_setting(value)
    if kind is not Path:
        raise NotImplementedError(f"settings have no {kind}")
    if not isinstance(value, str) or not value:
        raise ValueError("expected a path")
    return Path(value)


def _told(text: str, documents: list[_Document]) -> str:
    """msgspec's sentence with file and line in the place of its path: of the first file that has that place."""
    found = _PLACE.fullmatch(text)
    what, path = (found["what"], found["path"] or "") if found else (text, "")
    steps = [(name or f"[{place}]", place) for name, place in _STEP.findall(path)]
    if (unknown := _UNKNOWN.fullmatch(what)) is not None:
        what = f"unknown key '{unknown[1]}'"
    node: yaml.Node | None = None
    for document in documents:
        node, is_there = _find(document.root, steps, unknown[1] if unknown else None)
        if is_there or document is documents[-1]:
            break
    line = node.start_mark.line + 1 if node is not None else 1
    key = ".".join(name for name, _ in steps).replace(".[", "[")
    value = f", found {shown(node.value)}" if isinstance(node, yaml.ScalarNode) and unknown is None else ""
    where = f"key '{key}': " if key else ""
    return f"{document.source}:{line}: {where}{what[:1].lower()}{what[1:].replace('`', chr(39))}{value}"


def _find(root: yaml.Node | None, steps: list[tuple[str, str]], unknown: str | None) -> tuple[yaml.Node | None, bool]:
    """The node at the end of the steps, or the last on the way there, and whether it is the end."""
    node = root
    for name, place in steps:
        below = _below(node, name, place)
        if below is None:
            return node, False
        node = below
    if unknown is None:
        return node, node is not None
    key = _below(node, unknown, "", key=True)
    return key or node, key is not None


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
