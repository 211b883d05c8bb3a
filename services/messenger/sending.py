"""Sends one message, and waits for its receipt as long as is wished."""

from __future__ import annotations

import threading
from pathlib import Path

from services.messenger.api_words import Changed, GetHistory, Message, Messages, Send, Sent, Watch
from services.messenger.errors import MessengerAwayError
from services.messenger.line import Line

THERE = ("delivered", "read")
SETTLED = (*THERE, "failed")


def send_and_wait(request: Send, wait_s: float, socket: Path | None = None) -> Message:
    """As it stands when it is there, or after so many seconds. Raises MessengerError where it is not even kept."""
    with Line(socket) as watching, Line(socket) as asking:
        events = watching.watch(Watch(whom=request.whom))
        next(events)
        message = asking.ask(request, Sent).message
        end = threading.Timer(wait_s, watching.close)
        end.start()
        try:
            while message.state not in SETTLED:
                event = next(events)
                if isinstance(event, Changed) and event.message.number == message.number:
                    message = event.message
        except (MessengerAwayError, StopIteration):  # the time is over, or too much happened
            found = asking.ask(GetHistory(request.whom, since=message.number - 1, limit=1), Messages).messages
            message = found[0] if found else message
        finally:
            end.cancel()
    return message
