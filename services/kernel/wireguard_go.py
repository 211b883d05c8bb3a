"""Starts wireguard-go where the kernel has no WireGuard. It goes on when the node ends, and is found again by its
socket: a restart drops no packet. It ends when its interface is removed.
"""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

from services.kernel.errors import DoorError

PROGRAM = "wireguard-go"
SOCKETS = Path("/var/run/wireguard")
DEADLINE_S = 15.0


MIXING = 20230000
"""Of this date on, one that has sent to an IPv4 endpoint sends the next packet to an IPv6 one astray."""

_VERSION = re.compile(r"wireguard-go v\d+\.\d+\.(\d{8})\b")


def find_flaw() -> str:
    """What is wrong with the installed one, or nothing."""
    try:
        words = [PROGRAM, "--version"]
        done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=DEADLINE_S)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return judge(done.stdout)


def judge(told: str) -> str:
    found = _VERSION.search(told)
    if found is None or int(found[1]) < MIXING:
        return ""
    return (
        f"'{found[0]}' mixes up IPv4 and IPv6 endpoints: sessions may not come up (use a kernel with WireGuard, or "
        "Debian bookworm's wireguard-go 0.0.20220316)"
    )


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
