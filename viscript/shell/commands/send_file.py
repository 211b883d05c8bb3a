"""`send-file`: offer a file; it goes on where it stopped, until it is there."""

import os
import secrets
from pathlib import Path

from viscript.errors import UsageError
from viscript.shell.model import Answer, Command, Talk, Word


def talk(_talk: Talk, words: list[str]) -> Answer:
    if len(words) != 2:
        raise UsageError("send-file takes whom and a path, such as 'send-file alice holiday.jpg' (see contacts)")
    from services.messenger.api_words import MAX_FILE, SendFile  # noqa: PLC0415 (only when asked)
    from services.messenger.line import Line  # noqa: PLC0415
    from services.messenger.told import SHORT_FILE, size  # noqa: PLC0415
    from viscript.shell import messenger  # noqa: PLC0415

    path = Path(words[1])
    try:
        with path.open("rb") as file:
            length = os.fstat(file.fileno()).st_size
            if length > MAX_FILE:
                raise UsageError(f"'{path}' has {size(length)}: files have {size(MAX_FILE)} at most")
            with messenger.translated(), Line() as line:
                request = SendFile(words[0], path.name, length, once=secrets.token_hex(16))
                message = line.send_file(request, file).message
    except OSError as error:
        raise UsageError(f"cannot read '{path}': {error.strerror or error}") from None
    file_id = message.file.id[:SHORT_FILE] if message.file is not None else ""
    return Answer((f"offered as {file_id}: it goes when it is accepted there (see: files)",), message)


COMMAND = Command(
    ("send-file",),
    "send-file <who> <path>",
    "Offer a file of up to 100 MB",
    "send-file alice holiday.jpg",
    talk=talk,
    words=(Word.CONTACT, Word.PATH),
)
