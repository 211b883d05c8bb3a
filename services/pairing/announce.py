"""What this board says of itself on the local network all the time: a DNS-SD service, written for systemd-resolved,
which answers mDNS for it (systemd.dnssd(5), RFC 6763). It costs no program of ours.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from services.keys import NodeId
from services.pairing.errors import DoorError
from viscript.durable import write_whole

TYPE = "_skywire._tcp"
SSH_PORT = 22
"""Where the board's shell is: the one port that is open on every board."""

ID_DIGITS = 16


@dataclass(frozen=True, slots=True)
class Announced:
    """`is_member`: of another board's network."""

    node_id: NodeId
    version: str
    is_claimed: bool
    is_member: bool


def dnssd_text(board: Announced) -> str:
    """`%H` is the host name as resolved has it, which differs where two boards on a network bear the same."""
    words = {
        "id": board.node_id[:ID_DIGITS],
        "version": board.version.split()[0] if board.version.split() else "unknown",
        "claimed": "yes" if board.is_claimed else "no",
        "role": "member" if board.is_member else "manager",
    }
    told = " ".join(f"{key}={value.replace('%', '%%')}" for key, value in words.items())
    return f"[Service]\nName=%H\nType={TYPE}\nPort={SSH_PORT}\nTxtText={told}\n"


def write_announced(path: Path, board: Announced) -> bool:
    """Whether it is another text than was there. In RAM. Raises DoorError."""
    text = dnssd_text(board)
    try:
        if path.exists() and path.read_text() == text:
            return False
        write_whole(path, text.encode(), 0o644, durable=False)
    except OSError as error:
        raise DoorError(f"cannot announce this board in '{path}': {error.strerror}") from None
    return True
