"""Asks a host's node over its own socket, as any program on that host may; the socket is reached through the host's
/run, so that no process has to be started for a question.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

import msgspec

from services.node.api_words import Publish, Published
from services.node.client import Line

DEADLINE_S = 20.0
T = TypeVar("T", bound=msgspec.Struct)


class NodeSocket:
    def __init__(self, path: Path) -> None:
        self._path = path

    def ask(self, request: msgspec.Struct, kind: type[T], within_s: float = DEADLINE_S) -> T:
        """Raises NodeRefusedError with the node's words, NodeAwayError where none listens."""
        with Line(self._path, within_s) as line:
            return line.ask(request, kind)

    @contextlib.contextmanager
    def publish(self, name: str, port: int, *open_to: str) -> Iterator[Published]:
        """As long as the context lasts."""
        with Line(self._path, DEADLINE_S) as line:
            yield line.ask(Publish(name, port, open_to), Published)
