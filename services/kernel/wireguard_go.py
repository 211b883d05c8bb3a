"""Starts wireguard-go where the kernel has no WireGuard. It goes on when the node ends, and is found again by its
socket: a restart drops no packet. It ends when its interface is removed.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from services.kernel.errors import DoorError

PROGRAM = "wireguard-go"
SOCKETS = Path("/var/run/wireguard")
DEADLINE_S = 15.0


def start(name: str) -> None:
    """Returns when the interface and its socket are there: wireguard-go itself goes to the background then."""
    quiet = {**os.environ, "LOG_LEVEL": "silent"}
    try:
        subprocess.run(
            [PROGRAM, name],
            env=quiet,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            check=True,
            timeout=DEADLINE_S,
        )
    except FileNotFoundError as error:
        raise DoorError(f"this kernel has no WireGuard and there is no '{PROGRAM}': install that package") from error
    except subprocess.TimeoutExpired as error:
        raise DoorError(f"{PROGRAM} made no interface '{name}' in {DEADLINE_S:.0f} s: try it by hand") from error
    except subprocess.CalledProcessError as error:
        raise DoorError(f"{PROGRAM} could not make '{name}': run '{PROGRAM} -f {name}' to see why") from error
