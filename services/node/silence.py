"""Tells a neighbour whose node does not run from one that is gone: the kernel there refuses what nobody listens to.

That answer has come through the tunnel and back, so the neighbour still forwards: nothing there must be disturbed.
"""

from __future__ import annotations

import asyncio
import socket
from ipaddress import IPv6Address


async def is_refused(here: IPv6Address, there: IPv6Address, port: int, within_s: float) -> bool:
    """Whether the kernel there says that nobody listens at the UDP port."""
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as end:
        try:
            end.bind((str(here), 0))
            end.connect((str(there), port))
            end.send(b"\0")
            async with asyncio.timeout(within_s):
                await asyncio.get_running_loop().sock_recv(end, 1)
        except ConnectionRefusedError:
            return True
        except (OSError, TimeoutError):
            return False
    return False
