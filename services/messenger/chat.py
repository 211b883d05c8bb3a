"""A conversation with a person before it: what comes is told above the line that is typed, and as read to its senders.

It is also this without a terminal, line by line. A messenger that restarts is waited for; what was sent meanwhile is
said again under the same token, so it is there once.
"""

from __future__ import annotations

import contextlib
import secrets
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Self

from services.messenger.api_words import (
    Came,
    Changed,
    Contacts,
    Done,
    Event,
    GetContacts,
    GetHistory,
    Message,
    Messages,
    Missed,
    Presence,
    Read,
    Send,
    Sent,
    Watch,
    Watching,
)
from services.messenger.errors import MessengerAwayError, MessengerError
from services.messenger.line import Line
from services.messenger.told import STATES, history_lines, line, message_lines

SHOWN = 20
PAUSE_S = 1.0
END_WITHIN_S = 5.0

Say = Callable[[str], None]


class Chat:
    """Follows the conversation in a thread of its own, as long as it is entered. `changed` is called there."""

    def __init__(self, whom: str, say: Say, path: Path | None = None) -> None:
        self._whom, self._say, self._path = whom, say, path
        self._conversation = ""
        self.changed: Callable[[], object] = lambda: None
        self._told = 0
        self._over = threading.Event()
        self._watching: Line | None = None
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self._own: Message | None = None
        self.is_online: bool | None = None
        self.trouble = ""

    def __enter__(self) -> Self:
        """Raises MessengerError: nobody is so called, no messenger answers."""
        try:
            self._begin()
        except MessengerError:
            if self._watching is not None:
                self._watching.end()
            raise
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        if self._watching is not None:
            self._watching.close()
            self._thread.join(END_WITHIN_S)
            self._watching.end()

    def send(self, text: str) -> None:
        """Returns when it lies on the disk. Raises MessengerError."""
        request = Send(self._whom, text, once=secrets.token_hex(16))
        try:
            self._ask_to_send(request)
        except MessengerAwayError:
            self._over.wait(PAUSE_S)
            self._ask_to_send(request)

    def state(self) -> str:
        """How the other is, and how far the last of one's own messages came."""
        if self.trouble:
            return self.trouble
        where = "" if self.is_online is None else f"{line(self._whom)} is {'there' if self.is_online else 'away'}"
        last = f"your last message: {STATES[self._own.state]}" if self._own is not None else ""
        return " · ".join(part for part in (where, last) if part)

    def _ask_to_send(self, request: Send) -> None:
        with Line(self._path) as asking:
            asking.ask(request, Sent)

    def _begin(self) -> None:
        """Follows first and looks back then, so that nothing falls between."""
        if self._watching is not None:
            self._watching.end()
        self._watching = Line(self._path)
        self._events: Iterator[Watching | Event] = self._watching.watch(Watch(whom=self._whom))
        began = next(self._events)
        with Line(self._path) as asking:
            since = self._told or None
            back = asking.ask(GetHistory(self._whom, since=since, limit=SHOWN if since is None else 500), Messages)
            contacts = asking.ask(GetContacts(), Contacts).contacts
        self._conversation = began.conversation if isinstance(began, Watching) else ""
        self.is_online = next((one.is_online for one in contacts if one.node_id == self._conversation), None)
        if since is None:
            for text in history_lines(back.messages, "nothing was said yet"):
                self._say(text)
            self._note(back.messages)
        else:
            self._tell(back.messages)

    def _follow(self) -> None:
        while not self._over.is_set():
            try:
                if self.trouble:
                    self._begin()
                    self.trouble = ""
                    self.changed()
                if self._over.is_set():
                    return
                for event in self._events:
                    self._hear(event)
            except MessengerError as error:
                if not self._over.wait(PAUSE_S):
                    self.trouble = f"(waits for the messenger: {error})"
                    self.changed()

    def _hear(self, event: Watching | Event) -> None:
        match event:
            case Came(message=message):
                self._tell((message,))
            case Changed(message=message) if message.is_mine and (
                self._own is None or message.number >= self._own.number
            ):
                self._own = message
            case Presence(is_online=is_online):
                self.is_online = is_online
            case Missed():
                raise MessengerAwayError("it was too fast to follow")
        self.changed()

    def _tell(self, messages: Iterable[Message]) -> None:
        new = [message for message in messages if message.number > self._told]
        for message in new:
            for text in message_lines(message, is_new=True):
                self._say(text)
        self._note(new)

    def _note(self, messages: Iterable[Message]) -> None:
        """What was told was read; a messenger that just went away hears of it with the next."""
        seen = list(messages)
        self._told = max((self._told, *(message.number for message in seen)))
        self._own = next((message for message in reversed(seen) if message.is_mine), self._own)
        if any(message.state == "unread" for message in seen):
            with contextlib.suppress(MessengerAwayError), Line(self._path) as asking:
                asking.ask(Read(self._whom, self._told), Done)


def chat_by_lines(whom: str, lines: Iterable[str], say: Say, path: Path | None = None) -> None:
    """Sends line after line to the end of them, and tells what comes. Raises MessengerError."""
    with Chat(whom, say, path) as chat:
        for text in lines:
            if text.strip():
                chat.send(text.rstrip("\n"))


def chat_live(whom: str, say: Say, path: Path | None = None) -> None:
    """Until Ctrl+D. Raises MessengerError where it cannot begin."""
    from prompt_toolkit import PromptSession  # noqa: PLC0415 (loaded for a person only)
    from prompt_toolkit.patch_stdout import patch_stdout  # noqa: PLC0415

    chat = Chat(whom, say, path)
    session: PromptSession[str] = PromptSession(
        erase_when_done=True,
        bottom_toolbar=lambda: f"{chat.state()} · Ctrl+D ends".removeprefix(" · "),
        enable_suspend=False,
        enable_open_in_editor=False,
        enable_system_prompt=False,
    )
    chat.changed = session.app.invalidate
    with patch_stdout(), chat:
        while True:
            try:
                text = session.prompt(f"{line(whom)}> ")
            except KeyboardInterrupt:
                continue
            except EOFError:
                return
            if text.strip():
                try:
                    chat.send(text)
                except MessengerError as error:
                    say(f"not sent: {error}")
