"""Tells the operator in the messenger's inbox, where there is a messenger, who asks to peer, who agreed, who ended it.
`manager peers` and `manager status` tell it too: nothing depends on this.
"""

from __future__ import annotations

import asyncio
import logging

from services.keys import NodeId
from services.manager.ending import end_tasks
from services.manager.peering.peers import Peers

log = logging.getLogger(__name__)

TOPIC = "peering"
"""In messenger.yaml: `note_users: {peering: [the manager's user]}`."""

_TEXTS = {
    "asks": "asks to peer with this network (manager peers accept {short}, or refuse)",
    "peered": "is peered with this network",
    "refused": "does not peer with this network: {why}",
    "ended": "is peered no longer: {why}",
}


class Notices:
    """Of the peers whose border this manager is."""

    def __init__(self, me: NodeId, peers: Peers) -> None:
        self._me, self._peers = me, peers
        self._known = {manager: peer.stage for manager, peer in peers.all.items()}
        self._tasks: set[asyncio.Task[None]] = set()
        peers.on_change.append(self._take)

    async def stop(self) -> None:
        await end_tasks(self._tasks)

    def _take(self, manager: NodeId) -> None:
        peer = self._peers.all.get(manager)
        before = self._known.pop(manager, None)
        if peer is None:
            return
        self._known[manager] = peer.stage
        if peer.stage == before or peer.border != self._me or peer.stage not in _TEXTS:
            return
        text = _TEXTS[peer.stage].format(short=manager[:8], why=peer.why or "no reason given")
        once = f"{manager[:16]}-{peer.stage}-{peer.since_unix_s}"
        task = asyncio.get_running_loop().create_task(
            _post(manager, f"Cluster {peer.name or manager[:8]} {text}", once)
        )
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


async def _post(about: NodeId, text: str, once: str) -> None:
    try:
        await asyncio.to_thread(_ask, about, text, once)
    except Exception as error:  # a messenger is another program, if there is one at all
        log.debug("no notice in the messenger: %s", error)


def _ask(about: NodeId, text: str, once: str) -> None:
    from services.messenger.api_words import PostNotice, Sent  # noqa: PLC0415 (most managers never need it)
    from services.messenger.line import ask_once  # noqa: PLC0415

    ask_once(PostNotice(about, TOPIC, text, once), Sent)
