"""Whether a host's node has joined the mesh and how its links are, asked over its own socket, which is reached through
the host's /run: no process has to be started for a question.
"""

from __future__ import annotations

from pathlib import Path

from services.node.api_words import GetStatus, Status
from services.node.client import Line
from services.node.errors import NodeError
from tests.laboratory.host import Host

SOCKET, MANAGER_SOCKET = "/run/skywire/node.sock", "/run/skywire/manager.sock"
ANSWER_WITHIN_S = 20.0


def node_socket(host: Host) -> Path:
    return host.outside(SOCKET)


def manager_socket(host: Host) -> Path:
    return host.outside(MANAGER_SOCKET)


def why_not(host: Host) -> str:
    """Empty where it has joined."""
    try:
        with Line(node_socket(host), ANSWER_WITHIN_S) as line:
            status = line.ask(GetStatus(), Status)
    except (NodeError, OSError) as error:
        return str(error)
    return "" if status.is_connected else status.summary
