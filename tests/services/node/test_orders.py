"""Orders of managers: what is obeyed, what is refused, and what a restart or reboot remembers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from services.keys import Identity, new_seed
from services.manager.asks import EXPELLED, ExpelledNodes, Reply
from services.manager.bus import Message
from services.manager.signed import Order, sign_order
from services.manager.subjects import down
from services.node.errors import OrderError
from services.node.kept import Kept
from services.node.orders import EPOCH_BITS, Orders

ME, MANAGER, STRANGER = (Identity(new_seed()) for _ in range(3))
WORDS = ExpelledNodes(())


class Ear:
    """Orders of one node, in a folder, and what came of them."""

    def __init__(self, folder: Path) -> None:
        self.told: list[str] = []
        self.done: list[int] = []
        self.orders = Orders(ME.node_id, Kept(folder / "ram"), Kept(folder / "card", durable=True), self.told.append)
        self.orders.on(EXPELLED, self._carry_out)

    async def _carry_out(self, order: Order) -> Reply:
        self.done.append(order.revision)
        if order.revision % 100 == 99:
            raise OrderError("it is the ninety-ninth")
        return Reply()

    async def hear(self, data: bytes, kind: str = EXPELLED) -> Reply:
        answered: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

        async def answer(_: str, reply: bytes) -> None:
            answered.set_result(reply)

        await self.orders.take(Message(down(ME.node_id, kind), data, "_INBOX.x"), answer)
        async with asyncio.timeout(10):
            return msgspec.json.decode(await answered, type=Reply)

    async def refuses(self, data: bytes, why: str, kind: str = EXPELLED) -> None:
        done, told = len(self.done), len(self.told)
        assert why in (await self.hear(data, kind)).why
        assert (len(self.done), len(self.told)) == (done, told + 1)


def order(revision: int, by: Identity = MANAGER, to: Identity = ME, kind: str = EXPELLED) -> bytes:
    return sign_order(by, to.node_id, revision, kind, WORDS)


def with_ear(test: Callable[[Ear], object], folder: Path) -> None:
    async def main() -> None:
        ear = Ear(folder)
        await ear.orders.trust([MANAGER.node_id])
        await test(ear)  # type: ignore[misc]
        await ear.orders.close()

    asyncio.run(main())


def test_what_is_refused(tmp_path: Path) -> None:
    async def test(ear: Ear) -> None:
        assert await ear.hear(order(5)) == Reply()
        await ear.refuses(order(6, by=STRANGER), "no manager of this node")
        await ear.refuses(order(6, to=STRANGER), "not for this one")
        await ear.refuses(order(5), "revision 5")
        await ear.refuses(order(4), "revision 4")
        await ear.refuses(order(6, kind="strange"), "nobody carries it out", "strange")
        await ear.refuses(order(7), "nobody carries it out", "label")
        await ear.refuses(order(8)[:-4], "not understood")
        await ear.refuses(order(8).replace(b'signature":"', b'signature":"AAAA'), "signature")
        assert await ear.hear(order(8)) == Reply()
        assert ear.done == [5, 8]

    with_ear(test, tmp_path)


def test_the_reason_goes_back(tmp_path: Path) -> None:
    async def test(ear: Ear) -> None:
        assert (await ear.hear(order(99))).why == "it is the ninety-ninth"

    with_ear(test, tmp_path)


@pytest.mark.parametrize("reboots", [False, True])
def test_no_replay_after_a_restart(tmp_path: Path, reboots: bool) -> None:
    epoch = 3 << EPOCH_BITS

    async def before(ear: Ear) -> None:
        await ear.hear(order(epoch + 7))

    async def after(ear: Ear) -> None:
        await ear.refuses(order(epoch + 7), "was here before")
        await ear.refuses(order((2 << EPOCH_BITS) + 9), "was here before")
        assert await ear.hear(order(epoch + 8)) == Reply()

    with_ear(before, tmp_path)
    if reboots:
        for file in (tmp_path / "ram").iterdir():
            file.unlink()
    with_ear(after, tmp_path)


def test_another_network_counts_anew(tmp_path: Path) -> None:
    async def test(ear: Ear) -> None:
        await ear.hear(order(1000))
        await ear.orders.trust([MANAGER.node_id, STRANGER.node_id])
        await ear.refuses(order(900, by=STRANGER), "was here before")
        other = Identity(new_seed())
        await ear.orders.trust([other.node_id])
        await ear.refuses(order(2000), "no manager of this node")
        assert await ear.hear(order(1, by=other)) == Reply()

    with_ear(test, tmp_path)
