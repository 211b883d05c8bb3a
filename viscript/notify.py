"""Tells systemd how the daemon is, by the few lines of the sd_notify protocol. Does nothing elsewhere."""

from __future__ import annotations

import asyncio
import os
import socket


def notify(state: str) -> None:
    """Send one state such as `READY=1`; without NOTIFY_SOCKET, or with nobody there, silently nothing."""
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


async def keep_watchdog() -> None:
    """Feed the watchdog twice per period, from the loop whose life it proves; returns if there is none."""
    period_us = os.environ.get("WATCHDOG_USEC", "")
    if not period_us.isdigit() or os.environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return
    while True:
        notify("WATCHDOG=1")
        await asyncio.sleep(int(period_us) / 2_000_000)
