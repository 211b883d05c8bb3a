"""Whose a connection to the signal server is. Each question is answered by the kernel, at once, with False
when in doubt.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING

from viscript.launcher.process.families import PROC, read_user
from viscript.launcher.process.sockdiag import read_socket

if TYPE_CHECKING:
    from viscript.launcher.model import Process
    from viscript.launcher.process.sockdiag import SocketOwner
    from viscript.signal.model import Peer

log = logging.getLogger(__name__)

CGROUP_MOUNT = Path("/sys/fs/cgroup")


def is_of_session(pid: int, leader: Process) -> bool:
    """Whether the process belongs to the session that the leader began; its pid names it."""
    try:
        return os.getsid(pid) == leader.pid
    except OSError:
        return False


def is_of_user(peer: Peer, process: Process) -> bool:
    """Whether the peer's TCP socket was made by the user the process runs as."""
    found, uid = _ask(peer), read_user(process.pid)
    return found is not None and uid is not None and found.uid == uid


def is_of_cgroup(peer: Peer, group: Path) -> bool:
    """Whether the peer's TCP socket was made inside the control group with that directory."""
    found = _ask(peer)
    return found is not None and found.group is not None and found.group == _inode(group)


def is_process_of_cgroup(pid: int, group: Path, mount: Path = CGROUP_MOUNT) -> bool:
    """Whether the process is in the control group with that directory."""
    try:
        lines = PROC.joinpath(str(pid), "cgroup").read_text().splitlines()
    except OSError:
        return False
    own = next((line[3:] for line in lines if line.startswith("0::/")), None)
    inode = _inode(group)
    return own is not None and inode is not None and _inode(mount / own.lstrip("/")) == inode


def _ask(peer: Peer) -> SocketOwner | None:
    try:
        return read_socket(peer)
    except (OSError, ValueError) as error:
        log.warning("cannot tell the owner of %s: %s", peer, error)
        return None


def _inode(path: Path) -> int | None:
    try:
        return path.stat().st_ino
    except OSError:
        return None
