"""The end of a connection that asks too much: a last word in its protocol, how the other end hears it, and no memory
kept for who does not read.
"""

from __future__ import annotations

import asyncio
import contextlib
import os

UNSENT_WITHIN_S = 20.0
_CAME_ALREADY = 64 * 1024


def turn_away(writer: asyncio.StreamWriter, word: bytes) -> None:
    """At once, of a connection that was just accepted. What the kernel does not take of `word` is lost."""
    end = writer.get_extra_info("socket")
    with contextlib.suppress(OSError):
        os.read(end.fileno(), _CAME_ALREADY)  # unread, it makes of the end a reset, which may outrun the word
    writer.write(word)
    writer.transport.abort()


def hear_out(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
    """After a write: whether the other end takes no more. What it said before, of which a transport that cannot write
    reads nothing, is then in the reader, and to be read before anything else is awaited.
    """
    if not writer.is_closing():
        return False
    with contextlib.suppress(OSError):
        if data := os.read(writer.get_extra_info("socket").fileno(), _CAME_ALREADY):
            reader.feed_data(data)
    return True


def close(writer: asyncio.StreamWriter, unsent_within_s: float = UNSENT_WITHIN_S) -> None:
    """Who has not read by then what it was sent is not waited for any longer."""
    transport = writer.transport
    transport.close()
    if transport.get_write_buffer_size():
        asyncio.get_running_loop().call_later(unsent_within_s, transport.abort)
