"""Tells whoever started a service how it is, by systemd's sd_notify protocol; does nothing elsewhere."""

from __future__ import annotations

import os
import socket


def notify(state: str) -> None:
    """One state such as `READY=1`; without NOTIFY_SOCKET, or with nobody there, silently nothing."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    if address.startswith("@"):
        address = "\0" + address[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as door:
        try:
            door.sendto(state.encode(), address)
        except OSError:
            return
