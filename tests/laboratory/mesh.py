"""Pure: what `mesh: node` puts on the hosts of a topology: the configurations of node, manager and viscript, and the
programs that take them. On a manager's host the manager runs beside a node, with the same identity.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import yaml

from tests.laboratory.layout import Network, Role
from tests.laboratory.model import By, Program, Ready, Topology
from tests.laboratory.residents import SEED, Resident

JOIN_PORT = 7997
VISCRIPT_PORT = 7998
VISCRIPT_SERVICE = "viscript"
CLUSTER_SECRET = "manager/cluster.secret"  # a file's name
NODE = ("node", "run", "--config", "${dir}/node.yaml")
MANAGER = ("manager", "run", "--config", "${dir}/manager.yaml")
VISCRIPT = (
    *("viscript", "headless", "--config", "${dir}/config.yaml", "--prefix", "${lab}"),
    *("--state-dir", "/run/viscript/${namespace}", "--socket", "/run/viscript/api.sock"),
)
"""Hosts share the machine's process ids, and viscript knows its programs by the path of its state: each has another, a
short one, since its sockets are in there too."""

READY = Ready(By.NOTIFY, within_s=90)
SERVICES: Mapping[str, dict[str, object]] = {
    f"meshnet-{name}": {
        "desc": desc,
        "daemon": True,
        "path": f"bin/meshnet-{name}",
        "default_args": ["run", "--config", f"${{dir}}/{name}.yaml"],
        "restart": "on-failure",
        "stop_timeout_s": 20,
    }
    for name, desc in {
        "vpn-server": "VPN server: a way out to the internet for others of the mesh",
        "vpn-client": "VPN client: this host through a VPN server of the mesh",
        "socks-server": "SOCKS server: connections to the internet for others of the mesh",
        "socks-client": "SOCKS client: a proxy on 127.0.0.1:1080, to servers of the mesh",
        "messenger": "Messenger: text and files to people and boards, by node id",
    }.items()
}


@dataclass(frozen=True, slots=True)
class World:
    """What the files of one host are made from."""

    topology: Topology
    network: Network
    residents: Mapping[str, Resident]

    @property
    def managers(self) -> tuple[str, ...]:
        return self.topology.mesh.managers


def join_place(network: Network, manager: str) -> str:
    """Where all hosts reach a manager: on its first switch, if it has one."""
    node = network.nodes[manager]
    at_switches = (port.device for port in node.ports if network.nodes[port.device].role is Role.SWITCH)
    return f"{node.address(next(at_switches, None))}:{JOIN_PORT}"


def files_of(world: World, host: str) -> dict[str, str]:
    """Path under the host's folder → text, all filled in but for the words of `templates`."""
    files = {"node.yaml": _text(_node(world, host))}
    if host in world.managers:
        files["manager.yaml"] = _text(_manager(world, host))
    if not world.topology.mesh.plain:
        files["config.yaml"] = _text({"apps": _apps(world, host)})
        files["cluster.yaml"] = _text(_cluster(world, host))
        files |= {f"{name.removeprefix('meshnet-')}.yaml": "" for name in SERVICES}
    return files


def programs_of(topology: Topology) -> tuple[Program, ...]:
    if not topology.mesh.plain:
        return (Program("viscript", topology.meshed, VISCRIPT, ready=READY),)
    return (
        Program("node", topology.meshed, NODE, ready=READY),
        Program("manager", topology.mesh.managers, MANAGER, ready=READY),
    )


def _node(world: World, host: str) -> dict[str, object]:
    mesh = world.topology.mesh
    return {
        "seed": f"${{dir}}/{SEED}",
        "card": "${dir}/card",
        "managers": [
            {"at": join_place(world.network, name), "id": world.residents[name].node_id}
            for name in world.topology.managers_of(host)
        ],
        "link_networks": [str(network) for network in mesh.links],
        "wires": [str(network) for network in mesh.wires],
        "relays": True,
    }


def _manager(world: World, host: str) -> dict[str, object]:
    return {
        "seed": f"${{dir}}/{SEED}",
        "folder": "${dir}/manager",
        "cluster_secret": f"${{dir}}/{CLUSTER_SECRET}",
        "join": {"listen": f"0.0.0.0:{JOIN_PORT}", "admit": "open"},
        "others": [
            {"id": world.residents[name].node_id, "at": join_place(world.network, name)}
            for name in world.topology.managers_of(host)
            if name != host
        ],
    }


def _apps(world: World, host: str) -> dict[str, object]:
    always = {"daemon": True, "autostart": True, "restart": "always", "stop_timeout_s": 20}
    apps: dict[str, object] = {
        "node": {"desc": "This board's node of the mesh", "path": "bin/node", "default_args": list(NODE[1:]), **always},
        "apptracker": {
            "desc": "Directory of applications, with leases",
            "daemon": True,
            "path": "bin/apptracker",
            "default_args": ["127.0.0.1:20000"],
        },
        "mesh": {"desc": "Uses the mesh: start -a mesh links", "path": "bin/node", "default_args": ["status"]},
        **SERVICES,
        "sh": {"desc": "Any command on this board: start -a sh -c 'ip address'", "path": "/bin/sh"},
    }
    if host in world.managers:
        apps["manager"] = {
            "desc": "Admits nodes and computes routes",
            "path": "bin/manager",
            "default_args": list(MANAGER[1:]),
            "after": ["node"],
            **always,
        }
    first = world.topology.cluster_of(host)[0]
    if host != first:
        words = ["publish", VISCRIPT_SERVICE, str(VISCRIPT_PORT), "--to", world.residents[first].node_id]
        apps["operator-door"] = {
            "desc": f"Lets {first} command this board",
            "path": "bin/node",
            "default_args": words,
            "after": ["node"],
            **always,
        }
    return apps


def _cluster(world: World, host: str) -> dict[str, object]:
    """The first host commands the others of its network, over the mesh."""
    cluster = world.topology.cluster_of(host)
    places = {name: f"[{world.residents[name].address}]:{VISCRIPT_PORT}" for name in cluster}
    first = cluster[0]
    return {"name": host, "listen": places[host], "operators": [world.residents[first].address], "nodes": places}


def _text(words: dict[str, object]) -> str:
    return yaml.safe_dump(words, sort_keys=False, width=200)
