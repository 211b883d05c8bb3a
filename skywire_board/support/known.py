"""Secrets that people chose, as they stand in settings: read to be taken out of other texts, never packed. Pure.

YAML is read as YAML, in whatever style it is written; each file is read by lines too, since a wrong one is no YAML and
is just the one whose secrets were not taken from it.
"""

import codecs
import re
from collections.abc import Iterator
from itertools import chain, islice
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import yaml

LEAST, MOST = 4, 512
"""Characters of a secret. Shorter ones would mangle every text."""

MOST_NODES, MOST_FOUND = 20_000, 4_000
_STRONG = re.compile(r"(?i)psk|pass|secret|token|(?<![a-z0-9])pwd?(?![a-z0-9])")
_WEAK = re.compile(r"(?i)invit|identity|words|key")
_LINE = re.compile(rf"([\w.-]{{1,64}})[\"']?[^\S\n]{{0,16}}[=:][^\S\n]{{0,16}}(?=([^\n]{{0,{MOST}}}))")
_QUOTED = re.compile(r"""(["'])(.*?)\1""")
_PLAIN = frozenset({"true", "false", "null", "none"})


def secrets_in(data: bytes) -> set[str]:
    """Values of the keys whose names say that they are secret."""
    text = _text(data)
    found = {one.strip() for one in islice(chain(_by_nodes(text), _by_lines(text)), MOST_FOUND)}
    return {one for one in found if LEAST <= len(one) <= MOST and one.lower() not in _PLAIN and set(one) != {"_"}}


def _text(data: bytes) -> str:
    """Windows writes UTF-16 too, which no board takes, so that nothing in it is ever blanked."""
    wide = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    return data.decode("utf-16" if wide else "utf-8-sig", errors="replace")


def _is_secret(name: str, value: str) -> bool:
    """What is only called a key may be the path of one, which tells nothing."""
    return bool(_STRONG.search(name) or (_WEAK.search(name) and not value.startswith("/")))


def _by_lines(text: str) -> Iterator[str]:
    for line in text.splitlines():
        is_comment = line.lstrip().startswith("#")
        for found in _LINE.finditer(line):
            for value in _readings(found[2]):
                if _STRONG.search(found[1]) or (not is_comment and _is_secret(found[1], value)):
                    yield value


def _readings(rest: str) -> Iterator[str]:
    """What may be meant by the rest of a line: all of it, without a comment, up to the next key, between quotes."""
    yield rest
    yield rest.partition(" #")[0]
    upto = re.split(r"[,}\]]| #", rest, maxsplit=1)[0]
    yield from (upto, upto.strip("\"' "))
    if quoted := _QUOTED.match(rest):
        yield quoted[2]


def _by_nodes(text: str) -> Iterator[str]:
    """As YAML has it; of a file that is none, the documents before the mistake."""
    import yaml  # noqa: PLC0415

    try:
        for root in yaml.compose_all(text, Loader=yaml.SafeLoader):
            yield from _below(root)
    except (yaml.YAMLError, RecursionError, ValueError):
        return


def _below(root: "yaml.Node") -> Iterator[str]:
    """Every scalar under a secret name, or behind an option of one; each line of those that have several."""
    import yaml  # noqa: PLC0415

    left, looked_at = [("", root)], 0
    while left and looked_at < MOST_NODES:
        (name, node), looked_at = left.pop(), looked_at + 1
        if isinstance(node, yaml.ScalarNode):
            if _is_secret(name, node.value):
                yield from (node.value, *node.value.splitlines())
        elif isinstance(node, yaml.SequenceNode):
            left += _items(name, node.value)
        elif isinstance(node, yaml.MappingNode):
            above = name if _STRONG.search(name) else ""
            left += [(f"{above}.{getattr(key, 'value', '')}", value) for key, value in node.value]


def _items(name: str, nodes: "list[yaml.Node]") -> Iterator[tuple[str, "yaml.Node"]]:
    """`[--password, hunter2]` and `[--password=hunter2]` name what comes next."""
    before = ""
    for node in nodes:
        said = node.value if isinstance(node.value, str) else ""
        yield (before if before.startswith("-") and not said.startswith("-") else name), node
        before = said
