"""However fast a node talks, its words are kept at a measured pace; the newest always is."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import pytest

from services.keys import NodeId
from services.manager.errors import BusError
from services.updates import paced
from services.updates.model import BoardState
from services.updates.paced import Paced
from tests.services.manager.program.ends import run

A, B = NodeId("aa" * 32), NodeId("bb" * 32)
PACE_S = 0.3


class Card:
    """What was kept, and when. `fails`: how many times it does not take anything."""

    def __init__(self) -> None:
        self.kept: list[tuple[NodeId, int, float]] = []
        self.fails = 0

    async def keep(self, node_id: NodeId, state: BoardState) -> None:
        if self.fails:
            self.fails -= 1
            raise BusError("no server answers")
        self.kept.append((node_id, state.percent, time.monotonic()))

    async def until(self, is_so: Callable[[], bool]) -> None:
        async with asyncio.timeout(20):
            while not is_so():  # noqa: ASYNC110  # the card tells nobody
                await asyncio.sleep(0.01)


@pytest.fixture(autouse=True)
def pace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paced, "PACE_S", PACE_S)


def test_of_many_words_the_newest_is_kept() -> None:
    async def test() -> None:
        card = Card()
        kept = Paced(card.keep)
        for percent in range(100):
            await kept.take(A, BoardState(percent=percent))
        await kept.take(B, BoardState(percent=7))
        assert [(who, percent) for who, percent, _ in card.kept] == [(A, 0), (B, 7)], "the first ones at once"
        await card.until(lambda: len(card.kept) == 3)
        (_, _, first_s), _, (who, percent, last_s) = card.kept
        assert (who, percent) == (A, 99)
        assert last_s - first_s >= PACE_S
        await card.until(lambda: not kept.is_busy(A) and not kept.is_busy(B))
        assert len(card.kept) == 3
        await kept.stop()

    run(test())


def test_what_could_not_be_kept_is_kept_later() -> None:
    async def test() -> None:
        card = Card()
        kept = Paced(card.keep)
        card.fails = 2
        with pytest.raises(BusError):  # who said it says it again
            await kept.take(A, BoardState(percent=1))
        await kept.take(A, BoardState(percent=2))
        await card.until(lambda: bool(card.kept))
        assert (card.fails, [percent for _, percent, _ in card.kept]) == (0, [2])
        await kept.stop()

    run(test())
