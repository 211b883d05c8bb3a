"""The door to systemd's notification socket: ready, status, watchdog. Without NOTIFY_SOCKET it is shut."""

import os
import socket


def notify(*words: str) -> None:
    """Send `words` such as "READY=1" as one message. A missing or full socket is not the board's trouble."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    if address.startswith("@"):
        address = "\0" + address[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as door:
        door.setblocking(False)
        try:
            door.sendto("\n".join(words).encode(), address)
        except OSError:
            return


def watchdog_interval_s() -> float | None:
    """Half the time after which systemd gives the process up; None without a watchdog for this process."""
    pid = os.environ.get("WATCHDOG_PID", "")
    if pid and int(pid) != os.getpid():
        return None
    usec = int(os.environ.get("WATCHDOG_USEC", "0"))
    return usec / 2e6 if usec else None
