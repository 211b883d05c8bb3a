"""What the shell's commands ask the messenger of this board, and its refusals as the shell's errors. Loads it only when
it is asked.
"""

# ruff: noqa: PLC0415 (a shell whose board has no messenger loads nothing of it)
from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

from viscript.errors import RefusedError, ServiceAwayError, UsageError

if TYPE_CHECKING:
    import msgspec

T = TypeVar("T", bound="msgspec.Struct")

START = "start meshnet-messenger"


def ask(request: msgspec.Struct, kind: type[T]) -> T:
    """Raises ServiceAwayError, RefusedError, UsageError."""
    from services.messenger.line import ask_once

    with translated():
        return ask_once(request, kind)


@contextmanager
def translated() -> Iterator[None]:
    """The messenger's errors as the shell's."""
    from services.messenger.errors import ApiError, MessengerAwayError, MessengerError

    try:
        yield
    except MessengerAwayError as error:
        raise ServiceAwayError(f"{error.what}\nIs it running here? Try '{START}'.") from None
    except ApiError as error:
        raise RefusedError(str(error)) from None
    except MessengerError as error:
        raise (UsageError if getattr(error, "asked_wrongly", False) else RefusedError)(str(error)) from None


def quote(name: str) -> str:
    """As it must be typed; nothing for what would steer a terminal."""
    import shlex

    return shlex.quote(name) if name and name.isprintable() else ""


def names() -> list[tuple[str, str]]:
    """Whom messages can be sent to, each with what it means: for completion."""
    from services.messenger.api_words import Contacts, GetContacts, GetGroups, Groups
    from services.messenger.told import SHORT

    contacts = ask(GetContacts(), Contacts).contacts
    groups = ask(GetGroups(), Groups).groups
    return [
        *(
            (quote(one.name) or one.node_id, f"{one.node_id[:SHORT]}, {'there' if one.is_online else 'away'}")
            for one in contacts
        ),
        *((quote(f"group:{one.name}"), f"{len(one.members)} members") for one in groups if one.is_member),
    ]


def files() -> list[tuple[str, str]]:
    """Files by the beginnings of their ids: for completion."""
    from services.messenger.api_words import Files, GetFiles
    from services.messenger.told import SHORT_FILE, line, stage

    return [(one.id[:SHORT_FILE], f"{line(one.name)}, {stage(one)}") for one in ask(GetFiles(), Files).files]
