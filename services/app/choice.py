"""Which servers a client may use and in which order, pure: by id or name, by country or label, from the directory."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Literal, NamedTuple, TypeVar

import msgspec

from services.app.errors import NoServerError
from services.errors import shown
from services.keys import NodeId
from services.manager.routes.policy import Policy

_COUNTRY = re.compile(r"[a-z]{2}")

T = TypeVar("T")


class Server(NamedTuple):
    """`address` is the session address of the node."""

    node_id: NodeId
    service: str
    address: str
    port: int
    labels: tuple[str, ...] = ()


class Choice(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`servers`: node ids or names, in the order of preference; none means any in the directory. `country` is that of
    ISO 3166, two letters: the label `country=de`. `by`: in the order given, the nearest first, or another each time.
    """

    servers: tuple[str, ...] = ()
    country: str = ""
    label: str = ""
    by: Literal["first", "fastest", "random"] = "first"
    policy: Policy = Policy()

    def __post_init__(self) -> None:
        if self.country and not _COUNTRY.fullmatch(self.country.lower()):
            raise ValueError(f"country {shown(self.country)} is not two letters, such as 'de'")

    @property
    def labels(self) -> frozenset[str]:
        """All that a server must have."""
        country = {f"country={self.country.lower()}"} if self.country else set()
        return frozenset(country | ({self.label} if self.label else set()))


def fitting(choice: Choice, offered: Iterable[Server], ids: Mapping[str, NodeId]) -> list[Server]:
    """Those that may be used, in the order of `choice.servers`; `ids` says who is meant by each of those.

    Raises NoServerError, which says what was looked for and what there is.
    """
    there = sorted(offered)
    wanted = [ids[name] for name in choice.servers if name in ids]
    named = [server for node_id in wanted for server in there if server.node_id == node_id] if choice.servers else there
    fit = [server for server in dict.fromkeys(named) if choice.labels <= set(server.labels)]
    if not fit:
        raise NoServerError(_why_none(choice, len(there), len(named)))
    return fit


def _why_none(choice: Choice, there: int, named: int) -> str:
    if not there:
        return "nobody offers it in the mesh, or not to this node (see: node find)"
    if not named:
        return f"none of {', '.join(map(shown, choice.servers))} offers it ({there} others do: node find)"
    return f"none of {named} servers has {' and '.join(sorted(map(shown, choice.labels)))} (see: node find)"


def in_order(
    choice: Choice, servers: Sequence[T], latency_s: Callable[[T], float], shuffle: Callable[[list[T]], None]
) -> list[T]:
    """By `choice.by`; of the fastest, those of unknown latency (infinite) keep their order at the end."""
    ordered = list(servers)
    if choice.by == "fastest":
        ordered.sort(key=latency_s)
    elif choice.by == "random":
        shuffle(ordered)
    return ordered
