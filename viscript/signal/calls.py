"""Calls a program's own functions without ever letting them hold up the line.

An `async def` runs in the client's event loop. Any other function runs in a daemon thread of its own: no pool,
whose threads would be waited for when the program ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import logging
import threading
from typing import TYPE_CHECKING

from viscript.signal.errors import RefusedError

if TYPE_CHECKING:
    from collections.abc import Callable

log = logging.getLogger(__name__)


async def call(function: Callable[..., object], *args: object, deadline_s: float | None) -> object:
    """What it returns. Raises RefusedError when it fails or takes longer; a thread then runs on, unheard."""
    try:
        async with asyncio.timeout(deadline_s) as limit:
            if inspect.iscoroutinefunction(function):
                return await function(*args)
            return await _call_in_thread(function, *args)
    except TimeoutError as error:
        if limit.expired():
            raise RefusedError(f"{_name(function)} did not return within {deadline_s:g} s") from None
        raise RefusedError(f"TimeoutError: {error}") from error
    except RefusedError:
        raise
    except Exception as error:
        log.debug("%s failed", _name(function), exc_info=True)  # whoever asked is told; it may be asked each second
        raise RefusedError(f"{type(error).__name__}: {error}" if str(error) else type(error).__name__) from error


def _call_in_thread(function: Callable[..., object], *args: object) -> asyncio.Future[object]:
    loop = asyncio.get_running_loop()
    returned: asyncio.Future[object] = loop.create_future()

    def deliver(value: object, error: Exception | None) -> None:
        if returned.done():
            return
        if error is None:
            returned.set_result(value)
        else:
            returned.set_exception(RefusedError("it stopped iterating") if isinstance(error, StopIteration) else error)

    def work() -> None:
        value, failure = None, None
        try:
            value = function(*args)
        except Exception as error:
            failure = error
        with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
            loop.call_soon_threadsafe(deliver, value, failure)

    threading.Thread(target=work, name=f"signal: {_name(function)}", daemon=True).start()
    return returned


def _name(function: Callable[..., object]) -> str:
    return getattr(function, "__qualname__", None) or type(function).__name__
