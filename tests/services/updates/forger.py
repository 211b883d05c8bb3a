"""Somebody on the bus with a manager's rights there, and a key of its own: orders a node to install something.

python -m tests.services.updates.forger SECRET ADDRESS MANAGER NODE      prints the node's answer
"""

import asyncio
import sys
import time
from ipaddress import ip_address
from pathlib import Path

from services.keys import Identity, NodeId, new_seed
from services.manager import asks
from services.manager.bus import Bus
from services.manager.credentials import Authority
from services.manager.server_config import client_url
from services.manager.signed import sign_order
from services.manager.subjects import down
from services.seed_file import read
from services.updates.model import Bundle, Install


async def main(secret: str, address: str, manager: str, node: str) -> None:
    forger, authority = Identity(new_seed()), Authority(read(Path(secret)))
    bus = Bus(forger, lambda _: None)
    await bus.connect([client_url(ip_address(address))], lambda: authority.manager_token(forger.node_id))
    install = Install("r", Bundle("ab" * 32, 1000, "9.9.9", "skywire"), NodeId(manager))
    order = sign_order(forger, NodeId(node), int(time.time()) << 32, asks.UPDATE, install)
    print((await bus.ask(down(NodeId(node), asks.UPDATE), order)).decode())
    await bus.close()


asyncio.run(main(*sys.argv[1:]))
