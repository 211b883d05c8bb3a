"""Thousands of labels on one relay: what one more costs, what reading their counters costs, and that packets still pass
and are told apart. The limits are wide, for busy machines; `-s` shows the figures.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from typing import Any

import pytest

from services.kernel.model import FIRST_VNI, LINKS, Fact, pair, wire_name
from services.kernel.plan import want
from tests.services.kernel.hosts import Host, cable
from tests.services.kernel.words import Label, Node, ends, neighbour, own, relays, wire_relays, wired

MakeHost = Callable[[str], Host]
A, B, C = Node("a"), Node("b"), Node("c")
ONE_MORE_MS, READ_S, ALL_S = 5.0, 2.0, 60.0


def labels(kind: str, numbers: range) -> list[Fact]:
    found: list[Fact] = []
    for number in numbers:
        label = Label(number << 40 | 7)
        found += relays(label, A, C) if kind == "wg" else wire_relays(label, A, C, wire_name(FIRST_VNI + 1))
    return found


def one_by_one(host: Host, kind: str, first: int) -> float:
    """Milliseconds for one more label."""
    times = [host.timed("amend", labels(kind, range(number, number + 1)))[1] for number in range(first, first + 50)]
    return statistics.median(times) * 1000


def fine(answer: tuple[Any, float]) -> float:
    report, seconds = answer
    assert not report.failed, report.failed[:2]
    return seconds


@pytest.mark.parametrize(("kind", "many"), [("wg", 10_000), ("wire", 1_000)])
def test_thousands_of_labels(make_host: MakeHost, kind: str, many: int) -> None:
    a, relay, c = (make_host(name) for name in "abc")
    cable(a, relay, 1)
    cable(relay, c, 2)
    ground = [*own(B), *neighbour(A, "10.0.1.1"), *neighbour(C, "10.0.2.2"), *wired(B, C, 1, "10.0.2.1", "10.0.2.2")]
    fine(relay.timed("bring", want(ground)))
    bare = one_by_one(relay, kind, 1)
    all_s = fine(relay.timed("amend", labels(kind, range(100, 100 + many))))
    full = one_by_one(relay, kind, 200_000)
    counters, read_s = relay.timed("counters")
    assert len(counters) == 2 * (many + 100)
    wanted = want([*ground, *labels(kind, range(1, 51)), *labels(kind, range(100, 100 + many))])
    relay.crash()
    _, adopt_s = relay.timed("read")
    report, bring_s = relay.timed("bring", wanted)
    assert not report.failed
    assert len(report.done) == 50 * 4
    assert relay.call("bring", wanted).done == ()
    print(
        f"\n{kind}: one label {bare:.2f} ms, with {many} others {full:.2f} ms; {many} at once {all_s:.2f} s; "
        f"counters {read_s * 1000:.0f} ms; adopted in {adopt_s:.2f} s, planned and 50 removed in {bring_s:.2f} s"
    )
    assert full < ONE_MORE_MS
    assert read_s < READ_S
    assert max(all_s, adopt_s, bring_s) < ALL_S


def test_packets_are_counted_for_their_own_label(make_host: MakeHost) -> None:
    a, relay, c = (make_host(name) for name in "abc")
    cable(a, relay, 1)
    cable(relay, c, 2)
    mine, other = Label(42), Label(43)
    a.call("bring", want([*own(A), *neighbour(B, "10.0.1.2"), *ends(mine, B, initiates=True)]))
    c.call("bring", want([*own(C), *neighbour(B, "10.0.2.1"), *ends(mine, B, initiates=False)]))
    links = [*neighbour(A, "10.0.1.1"), *neighbour(C, "10.0.2.2")]
    both = [*relays(mine, A, C), *relays(other, A, C)]
    relay.call("bring", want([*own(B), *links, *both, *labels("wg", range(100, 1100))]))
    assert a.pings(mine.responder)
    before = relay.call("counters")
    a.run("ping", "-c5", "-i0.05", "-s", "100", str(mine.responder))
    after = relay.call("counters")
    changed = {key: (count, before[key]) for key, count in after.items() if count != before[key]}
    there, back = pair(LINKS, mine.initiator, mine.responder), pair(LINKS, mine.responder, mine.initiator)
    assert changed.keys() == {there.value, back.value}
    for now, then in changed.values():
        assert (now.packets - then.packets, now.bytes - then.bytes) == (5, 5 * (100 + 8 + 40))
