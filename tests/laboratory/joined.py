"""What the laboratory asks of nodes and managers until its hosts are one mesh: over their own sockets, which are
reached through each host's /run, so that no process has to be started for a question.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from services.manager.api_words import Done, GetLinks, Links, SetName
from services.manager.client import ask
from services.manager.errors import ManagerError
from services.node.api_words import Connect, Connected, GetStatus, Status
from services.node.client import Line
from services.node.errors import NodeError
from tests.laboratory.host import Host

NODE_SOCKET, MANAGER_SOCKET = "/run/skywire/node.sock", "/run/skywire/manager.sock"
ANSWER_WITHIN_S = 20.0


def node_socket(host: Host) -> Path:
    return host.outside(NODE_SOCKET)


def manager_socket(host: Host) -> Path:
    return host.outside(MANAGER_SOCKET)


def not_joined(host: Host) -> str:
    """Why it has not joined; empty where it has."""
    try:
        with Line(node_socket(host), ANSWER_WITHIN_S) as line:
            status = line.ask(GetStatus(), Status)
    except (NodeError, OSError) as error:
        return str(error)
    return "" if status.is_connected else status.summary


def not_named(manager: Host, host: Host) -> str:
    """Why the managers do not vouch for the host's name; empty where they do."""
    try:
        ask(SetName(host.name, host.node_id), Done, manager_socket(manager))
    except (ManagerError, OSError) as error:
        return str(error)
    return ""


def not_linked(manager: Host, hosts: Sequence[Host]) -> str:
    """Which host no chain of links leads to from the first, as the managers know them; empty where all are linked."""
    try:
        links = ask(GetLinks(), Links, manager_socket(manager)).links
    except (ManagerError, OSError) as error:
        return str(error)
    reached = fresh = {str(hosts[0].node_id)}
    while fresh:
        fresh = {str(link.dst) for link in links if link.is_up and link.src in fresh} - reached
        reached = reached | fresh
    return next((f"no chain of links leads to '{host.name}'" for host in hosts if host.node_id not in reached), "")


def not_connected(host: Host, other: Host, service: str) -> str:
    """Why there is no session for that service; empty where there is."""
    try:
        with Line(node_socket(host), ANSWER_WITHIN_S) as line:
            line.ask(Connect(other.node_id, service), Connected)
    except (NodeError, OSError) as error:
        return str(error)
    return ""
