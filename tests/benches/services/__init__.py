"""`tests/bench services`: a module for each part, whose `bench()` returns its figures with the peers beside them."""

from __future__ import annotations

from importlib.util import find_spec

NAMES = ("socks", "vpn", "messenger", "memory")


def parts() -> dict[str, str]:
    """Those that there are, with their modules."""
    found = {name: f"{__name__}.{name}" for name in NAMES}
    return {name: module for name, module in found.items() if find_spec(module)}
