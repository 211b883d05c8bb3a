"""Reads the SIGNAL_* variables by which a child finds its server.

SIGNAL_CLIENT, SIGNAL_SERVER_ADDRESS and SIGNAL_CLIENT_ID are the original's. Ours are SIGNAL_SERVER_SOCKET, a UNIX
socket to use instead of the address, and SIGNAL_EXTENSIONS=false, with which REG offers nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from viscript.signal.errors import SignalError
from viscript.signal.model import DEFAULT_PORT, Address, read_address

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Settings:
    """Whether this program reports at all, to whom, and as which id."""

    enabled: bool
    address: Address
    client_id: int
    socket: Path | None = None
    extensions: bool = True

    def __str__(self) -> str:
        return str(self.socket or self.address)


def read_settings(environment: Mapping[str, str]) -> Settings:
    """Defaults are the original's: off, localhost:7999, id 1. Raises SignalError for a malformed variable."""
    switch = environment.get("SIGNAL_CLIENT", "")
    address = environment.get("SIGNAL_SERVER_ADDRESS") or f"localhost:{DEFAULT_PORT}"
    client_id = environment.get("SIGNAL_CLIENT_ID") or "1"
    if not (client_id.isascii() and client_id.isdigit()):
        raise SignalError(f"SIGNAL_CLIENT_ID is {client_id!r}, expected a whole number")
    socket = environment.get("SIGNAL_SERVER_SOCKET")
    return Settings(
        bool(switch) and switch != "false",
        read_address(address),
        int(client_id),
        Path(socket) if socket else None,
        environment.get("SIGNAL_EXTENSIONS", "") != "false",
    )


def make_environment(address: Address, client_id: int, socket: Path | None = None) -> dict[str, str]:
    """The variables a launcher gives a child; the inverse of `read_settings`."""
    environment = {
        "SIGNAL_CLIENT": "true",
        "SIGNAL_SERVER_ADDRESS": str(address),
        "SIGNAL_CLIENT_ID": str(client_id),
    }
    return environment if socket is None else {**environment, "SIGNAL_SERVER_SOCKET": str(socket)}
