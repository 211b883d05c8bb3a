"""One manager of a cluster as a process of its own, with the node beside it; its own node has joined when it is ready.

manager_process.py FOLDER SECRET SEED ADDRESS [ID ADDRESS]…
ready <join port> <pid of its nats-server>
leads | follows                                     at each change
"""

import asyncio
import logging
import sys
from ipaddress import ip_address
from pathlib import Path

from services.keys import Identity, NodeId
from services.manager.admission import NodeEnd
from services.manager.config import Config, Other
from services.manager.errors import JoinError
from services.manager.manager import Manager
from services.manager.record import make_record, sign_record
from services.secrecy import Secret
from tests.fakes.local_node import FakeLocalNode
from tests.services.manager.program.ends import OPEN, knock


async def main(folder: Path, secret: str, seed: str, address: str, *others: str) -> None:
    identity = Identity(Secret(bytes.fromhex(seed)))
    bus_at = {NodeId(node_id): ip_address(at) for node_id, at in zip(others[::2], others[1::2], strict=True)}
    config = Config(
        folder=folder / "kept",
        cluster_secret=Path(secret),
        join=OPEN,
        others=tuple(Other(node_id, str(at)) for node_id, at in bus_at.items()),
        node=folder / "node.sock",
        socket=folder / "manager.sock",
    )
    fake = FakeLocalNode(config.node, identity.node_id)
    await fake.start()
    manager = Manager(identity, config, {identity.node_id: ip_address(address), **bus_at})
    await manager.start()
    record = sign_record(identity, make_record(identity, 1, (), "1", relays=True))
    while True:
        try:
            await knock(manager.door.port, NodeEnd(identity, record))
        except JoinError:  # the streams of a cluster that forms: a node tries again, too
            await asyncio.sleep(0.5)
        else:
            break
    print("ready", manager.door.port, manager.engine.server.pid, flush=True)
    led = False
    while True:
        if manager.engine.lease.is_held != led:
            led = not led
            print("leads" if led else "follows", flush=True)
        await asyncio.sleep(0.02)


logging.basicConfig(level=logging.WARNING)
asyncio.run(main(Path(sys.argv[1]), *sys.argv[2:]))
