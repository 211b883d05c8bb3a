"""Two people's messengers, asked over the sockets of their hosts; what one sends is what the other must have, once and
in that order.
"""

from __future__ import annotations

import io
import secrets
from pathlib import Path
from typing import TypeVar

import msgspec

from services.messenger.api_words import (
    AcceptFile,
    FetchFile,
    Files,
    FileState,
    GetFiles,
    GetHistory,
    Message,
    Messages,
    Send,
    SendFile,
    Sent,
)
from services.messenger.line import Line
from tests.laboratory.host import Host

SOCKET = "/run/skywire/messenger/messenger.sock"
MOST = 500
T = TypeVar("T", bound=msgspec.Struct)


class Person:
    def __init__(self, host: Host) -> None:
        self.name = host.name
        self._path: Path = host.outside(SOCKET)

    def ask(self, request: msgspec.Struct, kind: type[T]) -> T:
        with Line(self._path) as line:
            return line.ask(request, kind)

    def send(self, whom: str, text: str) -> str:
        """Its id."""
        return self.ask(Send(whom, text, once=secrets.token_hex(8)), Sent).message.id

    def send_file(self, whom: str, name: str, data: bytes) -> None:
        with Line(self._path) as line:
            line.send_file(SendFile(whom, name, len(data), once=secrets.token_hex(8)), io.BytesIO(data))

    def file(self, name: str) -> FileState | None:
        return next((file for file in self.ask(GetFiles(), Files).files if file.name == name), None)

    def is_offered(self, name: str) -> bool:
        return self.file(name) is not None

    def accept(self, name: str) -> None:
        file = self.file(name)
        assert file is not None
        self.ask(AcceptFile(file.id), Files)

    def fetch(self, name: str) -> bytes:
        file, target = self.file(name), io.BytesIO()
        assert file is not None
        with Line(self._path) as line:
            line.fetch_file(FetchFile(file.id), lambda _file: target)
        return target.getvalue()

    def history(self, whom: str) -> list[Message]:
        found = self.ask(GetHistory(whom, limit=MOST), Messages).messages
        return [message for message in found if message.kind == "text"]

    def texts_of_others(self, whom: str) -> list[str]:
        return [message.text for message in self.history(whom) if not message.is_mine]

    def undelivered(self, whom: str) -> int:
        return sum(one.is_mine and one.state not in {"delivered", "read"} for one in self.history(whom))
