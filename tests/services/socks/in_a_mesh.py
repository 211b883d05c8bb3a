"""Run in a network of its own: the client's choice among real servers at session addresses, by the node's real socket.
Behind that stands a directory alone, since all are on one machine. Prints as JSON what came of it.

The servers can be told apart at the reply: `far` lets nobody anywhere (2), `near` leads to loopback (0); `dead` and
`gone` listen nowhere. In `fastest` a connection to `far` takes a second, since every other SYN is lost.

    unshare --net python -m tests.services.socks.in_a_mesh first
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any

from services.addresses import session_address
from services.keys import Identity, NodeId, new_seed
from services.node.access import Access
from services.node.api import Api
from services.node.api_states import ServiceState
from services.node.api_words import Answer, Connect, Connected, Find, Held, Publish, Published, Request, Services
from services.node.config import Config
from services.node.errors import NodeError, ServiceError
from tests.services.socks.stage import ALL_LOOPBACK, WITHIN_S, Program, run_echo, run_program
from tests.services.socks.test_failover import echo_through

PORT = 1080
ROUNDS = 3
LOSES_EVERY_OTHER = """
add table inet lossy
add chain inet lossy out { type filter hook output priority 0; }
add rule inet lossy out ip6 daddr %s tcp flags & (syn|ack) == syn numgen inc mod 2 0 drop
"""
SERVERS = {"far": "", "near": ALL_LOOPBACK}
IDS = dict(zip(("far", "near", "dead", "gone"), sorted(Identity(new_seed()).node_id for _ in range(4)), strict=True))
LABELS = {"far": ("country=de",), "near": ("country=fr", "fast=1")}


class Desk:
    """Of the node `own`: whoever asks for a session has it."""

    told_errors = (NodeError,)

    def __init__(self, own: str, offered: tuple[str, ...]) -> None:
        self._own, self._offered = own, offered
        self.asked: Counter[str] = Counter()
        self.has_been_asked = asyncio.Event()

    async def answer(self, request: Request) -> Answer:
        match request:
            case Publish(port=port):
                return Published(address(self._own), port)
            case Find(name=name):
                found = [(IDS[one], name, address(one), PORT, (), LABELS.get(one, ())) for one in self._offered]
                return Services(tuple(ServiceState(*one) for one in found))
            case Connect(whom=whom):
                self.asked[whom] += 1
                if len(self.asked) == len(self._offered) and min(self.asked.values()) >= ROUNDS:
                    self.has_been_asked.set()
                return Connected(NodeId(whom), str(session_address(NodeId(whom))), PORT, 1400)
        raise ServiceError("nobody asks for it here")

    async def let_go(self, held: Held) -> None:
        pass


def address(name: str) -> str:
    return str(session_address(IDS[name]))


@contextlib.asynccontextmanager
async def serve_node(folder: Path, desk: Desk) -> AsyncIterator[Path]:
    api = Api(folder / f"{desk._own}.sock", desk, Access(Config()).refusal)
    await api.start()
    try:
        yield folder / f"{desk._own}.sock"
    finally:
        await api.close()


@contextlib.asynccontextmanager
async def run_one(side: str, folder: Path, settings: str, desk: Desk) -> AsyncIterator[Program]:
    config = folder / f"{desk._own}.yaml"
    async with serve_node(folder, desk) as node:
        config.write_text(f"{settings}node: {node}\n")
        words = ["-m", f"services.socks.{side}", "run", "--config", str(config)]
        program = run_program(words, folder / f"{desk._own}.log")
        running = await asyncio.to_thread(program.__enter__)
        try:
            yield running
        finally:
            await asyncio.to_thread(program.__exit__, None, None, None)


async def choose(folder: Path, choice: str) -> object:
    """How often each reply came, of twenty."""
    async with contextlib.AsyncExitStack() as stack:
        for name, settings in SERVERS.items():
            await stack.enter_async_context(run_one("server", folder, settings, Desk(name, ())))
        echo = stack.enter_context(run_echo())
        settings = f'listen: "127.0.0.1:0"\nchoice: {choice}\n'
        client = await stack.enter_async_context(run_one("client", folder, settings, Desk("dead", tuple(SERVERS))))
        first = await asyncio.to_thread(echo_through, client.port, echo)
        replies = Counter([first, *[await asyncio.to_thread(echo_through, client.port, echo) for _ in range(19)]])
        return {"replies": {str(reply): count for reply, count in replies.items()}}


async def note(folder: Path, _choice: str) -> object:
    """What the client's log says of servers that fail by turns, over three rounds."""
    desk = Desk("near", ("dead", "gone"))
    async with run_one("client", folder, 'listen: "127.0.0.1:0"\n', desk) as client:
        async with asyncio.timeout(WITHIN_S):
            await desk.has_been_asked.wait()
        return {"rounds": list(desk.asked.values()), "lines": client.said.count("W ")}


SCENES: dict[str, tuple[Callable[[Path, str], Coroutine[Any, Any, object]], str]] = {
    "first": (choose, "{by: first}"),
    "named": (choose, f"{{servers: [{IDS['near']}]}}"),
    "country": (choose, "{country: FR}"),
    "fastest": (choose, "{by: fastest}"),
    "random": (choose, "{by: random}"),
    "note": (note, ""),
}


def main(scene: str) -> None:
    play, choice = SCENES[scene]
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    for name in IDS:
        subprocess.run(["ip", "address", "add", f"{address(name)}/128", "dev", "lo"], check=True)
    if scene == "fastest":
        subprocess.run(["nft", "-f", "-"], input=LOSES_EVERY_OTHER % address("far"), text=True, check=True)
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(asyncio.run(play(Path(folder), choice))))


if __name__ == "__main__":
    main(sys.argv[1])
