"""Ports that are reached from outside the mesh for as long as somebody here wants it: a manager's join port while it
admits, that of a pairing. What is always reached so is the configuration's own.
"""

from __future__ import annotations

from services.kernel.model import outside
from services.kernel.rules import Host
from services.node.api_words import Done, Outside
from services.node.book import Book
from services.node.config import Config
from services.node.errors import OutsideError
from services.setting_words import ProtocolPort

MAX_PORTS = 8


class Outsides:
    """Each wish lives as long as the connection that it was asked on. On a workstation there is nothing to open."""

    def __init__(self, config: Config, book: Book) -> None:
        self._is_board, self._book = config.host is Host.BOARD, book

    async def take(self, wish: Outside) -> Done:
        """Raises OutsideError, KernelError."""
        if not 1 <= len(wish.ports) <= MAX_PORTS:
            raise OutsideError(f"{len(wish.ports)} ports: 1 to {MAX_PORTS} are opened at once")
        ports = [_read(text) for text in wish.ports]
        if self._is_board:
            await self._book.set(_owner(wish), [outside(protocol, port) for protocol, port in ports])
        return Done()

    async def let_go(self, wish: Outside) -> None:
        """Raises KernelError."""
        await self._book.set(_owner(wish), ())


def _read(text: str) -> tuple[str, int]:
    try:
        return ProtocolPort.read_setting(text).split_port()
    except ValueError as error:
        raise OutsideError(f"{text[:40]!a} is no port: {error}") from None


def _owner(wish: Outside) -> str:
    """The same port may be wanted on several connections: each wish is one of its own."""
    return f"outside:{id(wish)}"
