"""Somebody between two boards that pair, who keeps them from hearing one another: to each he is the other board, with
offers of his own. Prints each code as its board shows it. Words: the two boards' addresses, the new board's last.
"""

from __future__ import annotations

import asyncio
import sys
from ipaddress import IPv4Interface

from services.keys import Identity, new_seed
from services.node.underlay import own_addresses
from services.node.vouching import vouch
from services.pairing.crypto import PURPOSE, Ephemeral
from services.pairing.exchange import Exchange, Met
from services.pairing.model import PORT, Can, Me
from services.pairing.nearby import Found, Nearby
from services.pairing.talk import dial

WINDOW = 32 * "0"
"""The lowest, so that it is he who dials."""


async def pair_with(other: Found, can: Can) -> None:
    identity, key = Identity(new_seed()), Ephemeral()
    exchange = Exchange(Me(identity.node_id, "x", can, vouch(identity, PURPOSE, key.public)), key, WINDOW)
    talk = await dial(other.addresses, PORT)
    await talk.send(exchange.begin(20.0))
    while line := await talk.line():
        send, happened = exchange.feed(line, 20.0)
        await talk.send(send)
        if isinstance(happened, Met):
            print(f"code {other.addresses[0]} {happened.code}", flush=True)


async def main(manager: str, new: str) -> None:
    heard: asyncio.Queue[Found] = asyncio.Queue()
    nearby = Nearby(heard.put_nowait, lambda _: None)
    own = [address for address in own_addresses() if isinstance(address, IPv4Interface)]
    await nearby.start(WINDOW, "x", PORT, own)
    print("between", flush=True)
    found = [await heard.get(), await heard.get()]
    parts = {manager: Can.NEW, new: Can.MANAGER}
    await asyncio.gather(*(pair_with(one, parts[one.addresses[0]]) for one in found))
    await nearby.close()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
