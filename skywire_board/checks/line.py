"""One line of JSON to a UNIX socket and one line back, for the checks that ask other programs.

Two silences are told apart, as they are cured differently: nobody listens (the program is down or still starting:
systemd's business), and somebody listens but gives no answer (it hangs: ours).
"""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from skywire_board.errors import SilentError

T = TypeVar("T")


async def ask(path: Path, request: bytes, read: Callable[[Any], T], deadline_s: float) -> T:
    """What `read` makes of the JSON that answers. Raises SilentError, also where `read` does not find what it wants."""
    try:
        async with asyncio.timeout(deadline_s):
            answer = await _ask_line(path, request)
    except TimeoutError:
        raise SilentError("hung", f"no answer within {deadline_s:.0f} s") from None
    except OSError as error:
        raise SilentError("absent", f"cannot reach '{path}': {error.strerror or error}") from None
    except ValueError as error:
        raise SilentError("hung", f"the answer is no line: {error}") from None
    try:
        return read(json.loads(answer))
    except (ValueError, KeyError, TypeError, AttributeError):
        raise SilentError("hung", f"the answer is no status: {answer[:200]!r}") from None


async def _ask_line(path: Path, request: bytes) -> bytes:
    reader, writer = await asyncio.open_unix_connection(str(path))
    try:
        writer.write(request)
        answer = await reader.readline()
    finally:
        writer.close()
    if not answer:
        raise ConnectionResetError(104, "the connection was closed without an answer")
    return answer
