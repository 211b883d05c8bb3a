"""Reads a small YAML file so that an error can name its line and a secret can be blanked in its bytes. No I/O.

Every scalar stays the text that stands there (a password of digits is no number, the country NO is no truth value);
what a word should be is for the struct that it becomes. BOM and CRLF, as Windows writes them, do no harm.
"""

import re
from typing import Any, TypeVar

import msgspec
import yaml

from skywire_board.errors import SetupError

T = TypeVar("T")

MAX_BYTES, MOST_VALUES = 64 << 10, 5_000
BOM = b"\xef\xbb\xbf"
PLACE = re.compile(r"(?P<what>.*?)(?: - at `(?:key in )?\$(?P<path>.*)`)?", re.DOTALL)
STEP = re.compile(r"\.([^.\[\]]+)|\[(\d+|\.\.\.)\]")
UNKNOWN = re.compile(r"Object contains unknown field `(.*)`")
MISSING = re.compile(r"Object missing required field `(.*)`")
KEY_LIKE = re.compile(r"[A-Za-z_-]{1,20}")
QUOTED = re.compile(r"""\s(['"])(?!<)(?:(?!\1).){2,}\1""")
HALF = re.compile(r"[\ud800-\udfff]")
NAMED = re.compile(r"'(\w+)' (must|needs) ")
EXPECTED = {"bool": "true or false", "str": "text", "object": "keys with values", "array": "a list"}

Span = tuple[int, int]


class Document:
    """One file: `plain` is what it says, `span` where in `data` a scalar's characters lie."""

    def __init__(self, data: bytes, source: str) -> None:
        self.data, self.source, self._values = data, source, 0
        self._text = _text(data, source)
        try:
            self.root = yaml.compose(self._text, Loader=yaml.SafeLoader)
            self.plain = None if self.root is None else self._plain(self.root)
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            raise SetupError(f"{source}:{mark.line + 1 if mark else 1}: {_said(error)}") from None
        except (yaml.YAMLError, RecursionError) as error:
            raise SetupError(f"{source}:1: {' '.join(str(error).split())}") from None

    def convert(self, kind: type[T], secret: tuple[tuple[str, ...], ...] = (), at: tuple[str, ...] = ()) -> T:
        """What stands below the keys `at`. SetupError names file, line, key, what was expected and, unless it is
        `secret` or where a secret may stand by mistake, what was found.
        """
        plain = {} if self.plain is None else self.plain
        for name in at:
            plain = plain[name]
        try:
            return msgspec.convert(plain, kind, strict=False)
        except msgspec.ValidationError as error:
            raise SetupError(self._told(str(error), secret, list(at))) from None

    def node(self, *path: str) -> yaml.Node | None:
        """The node at the end of the keys."""
        found = self.root
        for name in path:
            found = _below(found, name)
        return found

    def line(self, node: yaml.Node | None) -> int:
        return node.start_mark.line + 1 if node is not None else 1

    def span(self, node: yaml.ScalarNode) -> Span:
        """Where the characters of a scalar lie in `data`, without quotes and the header of a block."""
        start, end = node.start_mark.index, node.end_mark.index
        if node.style in ("'", '"'):
            start, end = start + 1, end - 1
        elif node.style in ("|", ">"):
            start = self._text.index("\n", start) + 1
        before = len(BOM) if self.data.startswith(BOM) else 0
        first = before + len(self._text[:start].encode())
        return first, first + len(self._text[start:end].encode())

    def _plain(self, node: yaml.Node) -> Any:
        self._values += 1
        if isinstance(node, yaml.ScalarNode):
            self._check_text(node)
        if self._values > MOST_VALUES:
            raise SetupError(f"{self.source}:{self.line(node)}: says more than {MOST_VALUES} values")
        if isinstance(node, yaml.SequenceNode):
            return [self._plain(item) for item in node.value]
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node)
        is_null = getattr(node, "style", None) is None and node.value in ("", "~", "null")
        return None if is_null else node.value

    def _mapping(self, node: yaml.MappingNode) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name, value in node.value:
            if not isinstance(name, yaml.ScalarNode):
                raise SetupError(f"{self.source}:{self.line(name)}: expected a key, such as `name: pi-1`")
            self._check_text(name)
            if name.value in found:
                known = f"key '{name.value}'" if KEY_LIKE.fullmatch(name.value) else "a key"
                raise SetupError(f"{self.source}:{self.line(name)}: {known} is given twice")
            found[name.value] = self._plain(value)
        return found

    def _check_text(self, node: yaml.ScalarNode) -> None:
        if (half := HALF.search(node.value)) is not None:
            found = f"\\u{ord(half[0]):04x}"
            raise SetupError(
                f"{self.source}:{self.line(node)}: '{found}' is half a character (write the character itself)"
            )

    def _told(self, text: str, secret: tuple[tuple[str, ...], ...], at: list[str]) -> str:
        found = PLACE.fullmatch(text)
        what, path = (found["what"], found["path"] or "") if found else (text, "")
        keys = at + [name or place for name, place in STEP.findall(path)]
        if (unknown := UNKNOWN.fullmatch(what)) is not None:
            keys, what = [*keys, unknown[1]], "nobody knows this key (misspelt?)"
        elif (missing := MISSING.fullmatch(what)) is not None:
            what = f"the key '{missing[1]}' is missing below it"
        elif (named := NAMED.match(what)) is not None:
            keys, what = [*keys, named[1]], what[len(named[1]) + 3 :]
        node, shown = self._find(keys, key=unknown is not None), ""
        near = _is_near(keys, secret)
        if isinstance(node, yaml.ScalarNode) and unknown is None and not near:
            shown = f", found '{node.value}'"
        if unknown is not None and (near or not KEY_LIKE.fullmatch(unknown[1])):
            keys, what = keys[:-1], "holds a key that nobody knows (a value on its own?)"
        what = re.sub(r"`([^`]+)`", lambda kinds: _kinds(kinds[1]), what)
        where = f"key '{'.'.join(keys)}': " if keys else ""
        return f"{self.source}:{self.line(node)}: {where}{what[:1].lower()}{what[1:]}{shown}"

    def _find(self, keys: list[str], *, key: bool) -> yaml.Node | None:
        """The node at the keys, or the last one on the way there."""
        node = self.root
        for place, name in enumerate(keys):
            below = _below(node, name, key=key and place == len(keys) - 1)
            if below is None:
                return node
            node = below
        return node


def _is_near(keys: list[str], secret: tuple[tuple[str, ...], ...]) -> bool:
    """Whether a secret may stand there by mistake: above a secret's place, in it, or beside it below the same key."""
    given = tuple(keys)
    return any(given == path[: len(given)] or given[: len(path[:-1] or path)] == (path[:-1] or path) for path in secret)


def _below(node: yaml.Node | None, name: str, *, key: bool = False) -> yaml.Node | None:
    if isinstance(node, yaml.MappingNode):
        for one, value in node.value:
            if one.value == name:
                found: yaml.Node = one if key else value
                return found
    if isinstance(node, yaml.SequenceNode) and name.isdigit() and int(name) < len(node.value):
        item: yaml.Node = node.value[int(name)]
        return item
    return None


def _text(data: bytes, source: str) -> str:
    if len(data) > MAX_BYTES:
        raise SetupError(f"{source}:1: has {len(data)} bytes, more than {MAX_BYTES}")
    try:
        return data.removeprefix(BOM).decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise SetupError(f"{source}:{line}: is not UTF-8 text (in the editor: save as UTF-8)") from None


def _said(error: yaml.MarkedYAMLError) -> str:
    text = error.problem or "not YAML"
    if "\\t" in text:
        return "a tab; indent with spaces"
    return f"not YAML: {QUOTED.sub('', text)}"


def _kinds(text: str) -> str:
    """msgspec's names of types, for people; what is no type, such as a wrong word of a list, in quotes."""
    kinds = [EXPECTED.get(kind, f"'{kind}'") for kind in text.split(" | ") if kind != "null"]
    return " or ".join(kinds)


def mask(data: bytes, spans: list[Span]) -> bytes:
    """`data` with underscores where the spans are; line ends and the indentation of lines stay."""
    masked = bytearray(data)
    for start, end in spans:
        piece = re.sub(rb"[^\r\n]+", lambda line: _blank(line[0]), bytes(masked[start:end]))
        masked[start:end] = piece
    return bytes(masked)


def _blank(line: bytes) -> bytes:
    indent = len(line) - len(line.lstrip(b" \t"))
    return line[:indent] + b"_" * (len(line) - indent)
