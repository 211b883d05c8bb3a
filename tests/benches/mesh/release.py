"""Throughput with the wireguard-go of the machine's own Debian release, for ours and for the bare hop: without a kernel
that has WireGuard it is the one that nodes can use.
"""

from tests.benches.figures import Figure
from tests.benches.mesh import throughput


def bench() -> list[Figure]:
    return throughput.bench(newest=False)
