"""One program that may pass the kill switch for a while, such as a browser for a captive portal. It is known by a group
id that nobody else has; the kernel forgets it after its time, whatever becomes of whoever started it.
"""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Sequence
from pathlib import Path

from services.vpn.client.resolver import find_uplink_conf
from services.vpn.errors import StartError
from services.vpn.kill_switch import door

GIDS = range(1_500_000_000, 2_000_000_000)
"""Of no user, and none that systems hand out."""

IN_ITS_OWN = 'mount --bind "$1" /etc/resolv.conf && shift && exec "$@"'


async def pass_through(command: Sequence[str], for_s: int, user: str, resolv_conf: Path) -> int:
    """Runs the program to its end; returns its exit code. It asks the resolvers of the network outside. Raises
    StartError, DoorError.
    """
    if not door.read().is_on:
        raise StartError("the kill switch is off: every program passes anyway")
    gid = random.SystemRandom().choice(GIDS)
    door.open_portal(gid, for_s)
    try:
        return await _run(_words(command, gid, user, find_uplink_conf(resolv_conf)))
    finally:
        door.close_portal(gid)


def _words(command: Sequence[str], gid: int, user: str, conf: Path | None) -> list[str]:
    """`setpriv` gives it the group; a mount namespace of its own, its resolvers."""
    known = ["--reuid", user, "--init-groups"] if user else ["--clear-groups"]
    words = ["setpriv", "--regid", str(gid), *known, "--", *command]
    if conf is None:
        return words
    return ["unshare", "--mount", "--propagation", "private", "--", "sh", "-c", IN_ITS_OWN, "sh", str(conf), *words]


async def _run(words: Sequence[str]) -> int:
    try:
        program = await asyncio.create_subprocess_exec(*words)
    except OSError as error:
        raise StartError(f"cannot run '{words[0]}': {error.strerror} (install util-linux)") from None
    try:
        code = await program.wait()
    except asyncio.CancelledError:
        program.terminate()
        raise
    return code if code >= 0 else 128 - code


def usual_user() -> str:
    """Who asked for it, when root was asked to do it."""
    return os.environ.get("SUDO_USER", "")
