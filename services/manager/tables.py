"""Answers as lines of text, in 80 columns. Pure; what came from nodes steers no terminal."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence

from services.manager import api_words as words

COLUMNS = 80
SHORT = 8
MAX_CLAIMED = 16
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")

Rows = Sequence[tuple[str, ...]]


def table(titles: tuple[str, ...], rows: Rows) -> list[str]:
    """A title that begins with a blank stands over figures, set to the right. The last column takes what is left."""
    clean = [tuple(_CONTROL.sub("\N{REPLACEMENT CHARACTER}", cell) for cell in row) for row in rows]
    heads = tuple(title.strip() for title in titles)
    widths = [max(map(len, column)) for column in zip(heads, *clean, strict=True)]
    lines = []
    for row in (heads, *clean):
        cells = [
            cell.rjust(width) if title.startswith(" ") else cell.ljust(width)
            for title, cell, width in zip(titles, row, widths, strict=True)
        ]
        lines.append(_cut("  ".join(cells).rstrip()))
    return lines


def short_ids(ids: Collection[str]) -> dict[str, str]:
    """Beginnings that tell them apart, all of one length."""
    length = SHORT
    while length < 64 and len({node_id[:length] for node_id in ids}) < len(set(ids)):
        length += 2
    return {node_id: node_id[:length] for node_id in ids}


def claimed(name: str) -> str:
    """What a node calls itself, told apart from a name that the managers vouch for."""
    return f"({name[:MAX_CLAIMED]})" if name else ""


def called(ids: Collection[str], names: Mapping[str, str]) -> dict[str, str]:
    """Each by its name, or else the beginning of its id."""
    return {**short_ids(ids), **{node_id: names[node_id] for node_id in ids if node_id in names}}


def nodes(answer: words.Nodes) -> list[str]:
    short = short_ids([row.node_id for row in answer.nodes])
    rows = [
        (
            short[row.node_id],
            row.name or claimed(row.called) or "-",
            "manager" if row.is_manager else "relay" if row.relays else "node",
            str(row.links),
            "-" if row.heard_s is None else _ago(row.heard_s),
            row.version[:10] or "-",
            row.joined_from or (row.endpoints[0] if row.endpoints else "-"),
        )
        for row in answer.nodes
    ]
    return table(("node", "name", "kind", " links", " heard", "version", "from"), rows)


def links(answer: words.Links) -> list[str]:
    short = called({end for row in answer.links for end in (row.src, row.dst)}, answer.names)
    rows = [
        (
            short[row.src],
            short[row.dst],
            row.kind,
            "up" if row.is_up else "down",
            _ms(row.latency_s),
            f"{row.loss:.1%}",
            str(row.mtu),
        )
        for row in answer.links
    ]
    return table(("from", "to", "kind", "state", " latency", " loss", " mtu"), rows)


def routes(answer: words.Routes) -> list[str]:
    short = called({node_id for row in answer.routes for node_id in row.nodes}, answer.names)
    names = short_ids([row.route for row in answer.routes])
    rows = [
        (names[row.route], str(row.mtu), " ".join(short[node_id] for node_id in row.nodes) or "(unknown)")
        for row in answer.routes
    ]
    return table(("route", " mtu", "through"), rows)


def services(answer: words.Services) -> list[str]:
    short = called([row.node_id for row in answer.services], answer.names)
    rows = [
        (short[row.node_id], row.name, str(row.port), ", ".join(one[:16] for one in row.open_to) or "anyone")
        for row in answer.services
    ]
    return table(("node", "service", " port", "open to"), rows)


def names(answer: words.Names) -> list[str]:
    return table(("name", "node"), [(row.name, row.node_id) for row in answer.names])


def found(answer: words.FoundRoutes) -> list[str]:
    short = called({node_id for row in answer.routes for node_id in row.nodes}, answer.names)
    rows = [
        (
            ("route", "standby")[place],
            _ms(row.latency_s),
            str(len(row.nodes) - 1),
            f"{row.loss:.1%}",
            str(row.mtu),
            " ".join(short[node_id] for node_id in row.nodes),
        )
        for place, row in enumerate(answer.routes)
    ]
    told = table(("", " latency", " hops", " loss", " mtu", "through"), rows)
    return [*told, *wrapped(answer.reason)]


def status(answer: words.Status) -> list[str]:
    rtt = "no answer" if answer.bus_rtt_s is None else _ms(answer.bus_rtt_s)
    rows = [
        ("manager", answer.node_id),
        ("state", answer.summary),
        ("leader", answer.leader or "nobody"),
        ("others", " ".join(one[:SHORT] for one in answer.managers[1:]) or "none"),
        ("bus", rtt),
        ("join", f"{answer.join_at} ({answer.admits})"),
        ("services", str(answer.services)),
        ("expelled", str(answer.expelled)),
    ]
    lines = [_cut(f"{name:<10}{_CONTROL.sub('', value)}") for name, value in rows]
    return [*lines, *(line for one in answer.advice for line in wrapped(f"note: {one}"))]


def wrapped(text: str) -> list[str]:
    lines = [""]
    for word in _CONTROL.sub(" ", text).split():
        if lines[-1] and len(lines[-1]) + 1 + len(word) > COLUMNS:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return [line for line in lines if line]


def _cut(line: str) -> str:
    return line if len(line) <= COLUMNS else f"{line[: COLUMNS - 1]}…"


def _ms(seconds: float) -> str:
    return f"{seconds * 1e3:.1f} ms"


def _ago(seconds: float) -> str:
    return f"{seconds:.0f} s"
