"""The signal library: a program is a signal client, viscript is the signal server.

An application needs one line: `async with SignalClient() as signal:`, or `SignalClient().run_in_thread()` where it
blocks. The wire is the original's; `bodies` says what ours adds between ends that both know it, `model.Ask` lists
the operations, `settings` the variables. Names are imported on first use, so that a server does not load the client
and the other way round.
"""

# ruff: noqa: PLC0415 (on first use)
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from viscript.signal.client import SignalClient
    from viscript.signal.server import SignalServer

__all__ = ["SignalClient", "SignalServer"]


def __getattr__(name: str) -> object:
    if name == "SignalClient":
        from viscript.signal.client import SignalClient

        return SignalClient
    if name == "SignalServer":
        from viscript.signal.server import SignalServer

        return SignalServer
    raise AttributeError(f"module 'viscript.signal' has no attribute {name!r}")
