"""The TCP pump, the same for all: iperf3 from the first host of a row to its last."""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec

from tests.benches.mesh.cpu import Stopwatch, Use
from tests.laboratory.errors import CommandError
from tests.laboratory.host import Host
from tests.laboratory.model import By, Ready

PORT = 5201
SPARE_S = 40.0


@dataclass(frozen=True, slots=True)
class Flow:
    """What arrived at the far end."""

    bytes: int
    seconds: float
    use: Use = field(default_factory=lambda: Use(0.0, 0.0))

    @property
    def mbit_s(self) -> float:
        return self.bytes * 8 / self.seconds / 1e6

    @property
    def cpu_s_per_gb(self) -> float:
        return self.use.seconds / (self.bytes / 1e9)


class _Sum(msgspec.Struct):
    bytes: int = 0
    seconds: float = 0.0


class _End(msgspec.Struct):
    sum_received: _Sum = msgspec.field(default_factory=_Sum)


class _Said(msgspec.Struct):
    end: _End = msgspec.field(default_factory=_End)
    error: str = ""


def listen(host: Host) -> None:
    """Until the laboratory ends."""
    host.start(["iperf3", "--server", "--forceflush"], name="pump", ready=Ready(By.LINE, "Server listening"))


def pump(
    source: Host,
    address: str,
    *,
    streams: int,
    namespaces: list[str],
    seconds: int = 0,
    gigabytes: float = 0,
    port: int = PORT,
) -> Flow:
    """For so many seconds, or until so much has gone through; with the machine's CPU time meanwhile."""
    amount = ["--time", str(seconds)] if seconds else ["--bytes", str(int(gigabytes * 1e9 / streams))]
    words = ["iperf3", "--client", address, "--port", str(port), "--parallel", str(streams), *amount]
    words += ["--json", "--connect-timeout", "5000"]
    watch = Stopwatch(namespaces)
    done = source.run(words, check=False, timeout_s=600 if gigabytes else seconds + SPARE_S)
    use = watch.read()
    flow = parse(done.stdout or f'{{"error": "{done.stderr.strip()}"}}')
    return Flow(flow.bytes, flow.seconds, use)


def parse(text: str) -> Flow:
    """Raises CommandError with iperf3's own words."""
    said = msgspec.json.decode(text.encode(), type=_Said)
    received = said.end.sum_received
    if said.error or received.bytes == 0:
        raise CommandError(f"the pump failed: {said.error or 'nothing arrived'}")
    return Flow(received.bytes, received.seconds)
