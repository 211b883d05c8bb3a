"""The handle of one cable while the lab runs: rate, delay, loss, black hole, up and down, for one direction or both. A
direction is named by the end it leads to. Counters are those of the receiving end.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from tests.laboratory import commands, machine
from tests.laboratory.errors import LabError, MissingError
from tests.laboratory.layout import Network, Port, Wire
from tests.laboratory.model import Quality

NameOf = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class Counters:
    """Packets and bytes that came in at one end since loss was first set in that direction."""

    passed: int
    passed_bytes: int
    lost: int
    lost_bytes: int


class CableHandle:
    def __init__(self, wire: Wire, network: Network, name_of: NameOf, *, has_netem: bool) -> None:
        self._wire = wire
        self._network = network
        self._name_of = name_of
        self._has_netem = has_netem
        self._now = {wire.left.node: Quality(), wire.right.node: Quality()}

    @property
    def ends(self) -> tuple[str, str]:
        return self._wire.left.node, self._wire.right.node

    def quality(self, towards: str) -> Quality:
        self._check(towards)
        return self._now[towards]

    def rate(self, bits: int, *, towards: str | None = None) -> None:
        """Bits per second; 0 lifts the limit."""
        self._change(towards, rate_bits=bits)

    def delay(self, ms: float, *, towards: str | None = None) -> None:
        """Raises MissingError where the kernel has no netem."""
        if ms and not self._has_netem:
            raise MissingError(f"a delay of {ms:g} ms needs netem, which this kernel does not have (sch_netem)")
        self._change(towards, delay_ms=ms)

    def loss(self, share: float, *, towards: str | None = None) -> None:
        if not 0 <= share <= 1:
            raise LabError(f"a loss of '{share}' is no share from 0 to 1")
        self._change(towards, loss=share)

    def black_hole(self, *, towards: str | None = None) -> None:
        """The devices stay up and nothing arrives; `loss(0)` ends it."""
        self.loss(1.0, towards=towards)

    def down(self) -> None:
        """Pulled out: neither end has a carrier. Of two hosts' cable the second's device is down altogether."""
        machine.ip(commands.pull_out(self._wire.right), self._name_of(self._wire.right.node))

    def up(self) -> None:
        """With the addresses and routes that the ends had at the lab's start."""
        for port in (self._wire.right, self._wire.left):
            machine.ip(commands.plug_in(self._network.nodes[port.node], port), self._name_of(port.node))
        machine.settle({self._name_of(port.node): [port.device] for port in (self._wire.left, self._wire.right)})

    def counters(self, towards: str) -> Counters:
        """Zero until loss was set once in that direction."""
        self._check(towards)
        port = self._port(towards)
        listed = json.loads(machine.nft_json(self._name_of(towards), "list", "counters"))["nftables"]
        found = {entry["counter"]["name"]: entry["counter"] for entry in listed if "counter" in entry}
        rows = [found.get(f"{what}-{port.device}", {"packets": 0, "bytes": 0}) for what in ("passed", "lost")]
        return Counters(*(int(row[key]) for row in rows for key in ("packets", "bytes")))

    def apply(self, towards: str, now: Quality) -> None:
        """Sets one direction; only what differs touches the kernel."""
        was = self._now[towards]
        far, near = self._port(towards), self._port(self._other(towards))
        machine.tc(commands.shape(near, was, now), self._name_of(near.node))
        if was.loss != now.loss:
            machine.ip(commands.segments(near, now.loss), self._name_of(near.node))
            machine.nft(commands.lose(far, now.loss), self._name_of(far.node))
        self._now[towards] = now

    def _change(self, towards: str | None, **what: float) -> None:
        for end in self._directions(towards):
            self.apply(end, replace(self._now[end], **what))  # type: ignore[arg-type]

    def _directions(self, towards: str | None) -> Iterator[str]:
        if towards is None:
            yield from self.ends
        else:
            self._check(towards)
            yield towards

    def _check(self, towards: str) -> None:
        if towards not in self._now:
            raise LabError(f"'{towards}' is no end of the cable between '{self.ends[0]}' and '{self.ends[1]}'")

    def _port(self, end: str) -> Port:
        return self._wire.left if self._wire.left.node == end else self._wire.right

    def _other(self, end: str) -> str:
        return self.ends[1] if end == self.ends[0] else self.ends[0]
