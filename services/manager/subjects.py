"""Every subject of the bus and who may use it, in one place. Pure.

    up.<id>.<what>      from a node: record, links, services, meter, ask (the last is answered)
    down.<id>.<what>    to a node: orders; the manager alone publishes here
    _INBOX.<id>.…       answers to a node's questions
    $JS.API.DIRECT.GET.KV_<bucket>.$KV.<bucket>.<id>…   a node's own keys, read without the manager

No more of JetStream's interface is open to a node: who may create a consumer may let it deliver to anybody, and who may
publish to a bucket may empty it by a header (`Nats-Rollup: all`).
"""

from __future__ import annotations

import re

from services.keys import NodeId

UP = ("record", "links", "services", "meter", "ask")
OWN_KEYS = (("nodes", ""), ("links", ""), ("labels", ".*"), ("services", ".*"))
"""Bucket, and what follows the node id in its keys."""

ALL_UP = "up.*.*"

_UP = re.compile(r"up\.([0-9a-f]{64})\.([a-z]+)")


def up(node_id: NodeId, what: str) -> str:
    return f"up.{node_id}.{what}"


def down(node_id: NodeId, what: str) -> str:
    return f"down.{node_id}.{what}"


def inbox(node_id: NodeId) -> str:
    """A prefix: an inbox is one word below it."""
    return f"_INBOX.{node_id}"


def bucket_key(bucket: str, key: str) -> str:
    return f"$KV.{bucket}.{key}"


def direct_get(bucket: str, key: str) -> str:
    return f"$JS.API.DIRECT.GET.KV_{bucket}.{bucket_key(bucket, key)}"


def sender(subject: str) -> tuple[NodeId, str] | None:
    """Who published to `up.<id>.<what>`: the server lets nobody but that node."""
    found = _UP.fullmatch(subject)
    return (NodeId(found[1]), found[2]) if found else None


def is_own_inbox(node_id: NodeId, reply: str) -> bool:
    """Whether an answer there reaches the node that asked. The server does not look at a question's reply subject:
    whoever answers without this check publishes in its own name wherever the asker wants.
    """
    prefix = inbox(node_id) + "."
    rest = reply[len(prefix) :]
    return reply.startswith(prefix) and bool(rest) and not set(rest) & set("*> \t\r\n")


# permissions


def node_may_publish(node_id: NodeId) -> list[str]:
    own = [direct_get(bucket, f"{node_id}{rest}") for bucket, rest in OWN_KEYS]
    return [*(up(node_id, what) for what in UP), *own]


def node_may_subscribe(node_id: NodeId) -> list[str]:
    return [f"down.{node_id}.>", f"{inbox(node_id)}.>"]
