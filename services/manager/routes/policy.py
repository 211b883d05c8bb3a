"""What a pair of nodes wants of its routes, and what becomes of two wishes for one pair. Pure words.

Hops are links: a direct link is one hop, so `hops_at_least=2` forbids what would show the ends each other's address.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from services.keys import NodeId
from services.manager.routes.errors import PolicyError

MOST_HOPS = 32
MOST_NAMED = 256


class Metric(StrEnum):
    LATENCY = "latency"
    """Least sum of latencies; equal ones: fewer hops."""

    PRICE = "price"
    """Least sum of prices; equal ones: least latency."""

    BANDWIDTH = "bandwidth"
    """The narrowest link of both routes as wide as can be; then least latency."""


class Policy(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`metric` None: no wish, which is latency unless the other side wishes otherwise. `via` in this order.

    `disjoint_from` holds routes as their nodes, ends included: no relay and no link of theirs is used.
    """

    metric: Metric | None = None
    hops_at_least: int = 1
    hops_at_most: int | None = None
    via: tuple[NodeId, ...] = ()
    exclude: frozenset[NodeId] = frozenset()
    disjoint_from: tuple[tuple[NodeId, ...], ...] = ()

    def __post_init__(self) -> None:
        _check_hops(self)
        if len(set(self.via)) < len(self.via):
            raise PolicyError(f"via names '{_repeated(self.via)}' twice: a route passes a node once")
        if both := sorted(self.exclude.intersection(self.via)):
            raise PolicyError(f"'{both[0]}' is both in via and excluded: take it out of one")
        relays = {node for route in self.disjoint_from for node in route[1:-1]}
        if both := sorted(relays.intersection(self.via)):
            raise PolicyError(f"via '{both[0]}' is a relay of a route to be disjoint from: take it out of one")
        if len(self.exclude) + len(relays) > MOST_NAMED:
            raise PolicyError(f"more than {MOST_NAMED} nodes are excluded or avoided: name fewer")

    @property
    def permits_direct(self) -> bool:
        return self.hops_at_least == 1 and not self.via


def _check_hops(policy: Policy) -> None:
    least, most = policy.hops_at_least, policy.hops_at_most
    for name, hops in (("hops_at_least", least), ("hops_at_most", most)):
        if hops is not None and not 1 <= hops <= MOST_HOPS:
            raise PolicyError(f"{name} '{hops}' is not from 1 to {MOST_HOPS}")
    if most is not None and least > most:
        raise PolicyError(f"at least {least} hops and at most {most} exclude each other: loosen one")
    if most is not None and len(policy.via) >= most:
        raise PolicyError(f"{len(policy.via)} nodes in via need {len(policy.via) + 1} hops, at most {most} are allowed")


def _repeated(nodes: tuple[NodeId, ...]) -> NodeId:
    return next(node for node in nodes if nodes.count(node) > 1)


def combine(one: Policy, other: Policy) -> Policy:
    """The policy that satisfies both. Raises PolicyError that names the conflict. The order does not matter."""
    mosts = [policy.hops_at_most for policy in (one, other) if policy.hops_at_most is not None]
    return Policy(
        metric=_one_metric(one.metric, other.metric),
        hops_at_least=max(one.hops_at_least, other.hops_at_least),
        hops_at_most=min(mosts, default=None),
        via=_one_via(one.via, other.via),
        exclude=one.exclude | other.exclude,
        disjoint_from=tuple(sorted({*one.disjoint_from, *other.disjoint_from})),
    )


def _one_metric(one: Metric | None, other: Metric | None) -> Metric | None:
    if one is not None and other is not None and one != other:
        first, second = sorted((one, other))
        raise PolicyError(f"metric '{first}' and metric '{second}' for one pair: agree on one, or leave one open")
    return one or other


def _one_via(one: tuple[NodeId, ...], other: tuple[NodeId, ...]) -> tuple[NodeId, ...]:
    """The longer, where it holds the shorter in its order: any mixture would be a guess."""
    short, long = sorted((one, other), key=lambda via: (len(via), via))
    rest = iter(long)
    if all(node in rest for node in short):
        return long
    missing = next((node for node in short if node not in long), short[0])
    raise PolicyError(f"two lists of via nodes for one pair that differ at '{missing}': agree on one list")
