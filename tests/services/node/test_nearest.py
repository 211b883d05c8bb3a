"""Several places asked at once: one that is off or slow costs little time."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from services.node.errors import AwayError, RefusedError
from services.node.nearest import ACCEPTS_WITHIN_S, APART_S, answering, first_of


def run(test: Callable[[], Coroutine[Any, Any, None]]) -> float:
    """The seconds it took."""
    began_s = time.monotonic()
    asyncio.run(test())
    return time.monotonic() - began_s


def listener() -> socket.socket:
    end = socket.socket()
    end.bind(("127.0.0.1", 0))
    end.listen(5)
    return end


def url(of: socket.socket) -> str:
    return f"nats://127.0.0.1:{of.getsockname()[1]}"


def test_the_server_that_accepts_comes_first() -> None:
    with listener() as alive, listener() as dead:
        gone, here = url(dead), url(alive)
        dead.close()

        async def test() -> None:
            assert await answering([gone, here]) == [here, gone]
            assert await answering([here]) == [here]
            with pytest.raises(AwayError, match="does not answer"):
                await answering([gone, gone])

        assert run(test) < ACCEPTS_WITHIN_S


async def _ask(place: str) -> str:
    await asyncio.sleep(30 if place == "silent" else 0)
    if place == "refuses":
        raise RefusedError("it refuses")
    if place == "away":
        raise AwayError("it is away")
    return place


def test_the_next_is_asked_where_the_first_is_silent_or_refuses() -> None:
    async def silent() -> None:
        assert await first_of(["silent", "a"], _ask) == "a"

    async def refusing() -> None:
        assert await first_of(["refuses", "away", "a"], _ask) == "a"

    assert APART_S <= run(silent) < 20
    assert run(refusing) < 20


def test_what_all_say_is_told() -> None:
    async def test() -> None:
        with pytest.raises(AwayError, match="it refuses; it is away"):
            await first_of(["refuses", "away"], _ask)
        with pytest.raises(RefusedError, match="it refuses; it refuses"):
            await first_of(["refuses", "refuses"], _ask)

    run(test)
