"""One line to a UNIX socket and one line back, for the checks that ask other programs."""

import asyncio
from pathlib import Path


async def ask_line(path: Path, request: bytes) -> bytes:
    """Raises OSError, and ValueError where the answer is no line. Give it a time-out."""
    reader, writer = await asyncio.open_unix_connection(str(path))
    try:
        writer.write(request)
        answer = await reader.readline()
    finally:
        writer.close()
    if not answer:
        raise ConnectionResetError(104, "the connection was closed without an answer")
    return answer
