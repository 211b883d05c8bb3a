"""`msg`: one message; it is kept here until it is there."""

import secrets

from viscript.errors import UsageError
from viscript.shell.model import Answer, Command, Talk, Word

WAIT_S = 1.0
"""How long its receipt is waited for, to tell it."""

WAITS = "it is kept here, and goes as soon as {} can be reached"


def talk(_talk: Talk, words: list[str]) -> Answer:
    if len(words) < 2:
        raise UsageError("msg takes whom and what, such as 'msg alice I am at the door' (see contacts)")
    from services.messenger.api_words import Send  # noqa: PLC0415 (only when asked)
    from services.messenger.sending import send_and_wait  # noqa: PLC0415
    from services.messenger.told import STATES, line  # noqa: PLC0415
    from viscript.shell import messenger  # noqa: PLC0415

    with messenger.translated():
        message = send_and_wait(Send(words[0], " ".join(words[1:]), once=secrets.token_hex(16)), WAIT_S)
    told = WAITS.format(line(words[0])) if message.state == "waiting" else STATES[message.state]
    why = f": {line(message.why)}" if message.why else ""
    failed = message.state == "failed"
    return Answer(() if failed else (told + why,), message, problems=(told + why,) if failed else (), failed=failed)


COMMAND = Command(
    ("msg",), "msg <who> text...", "Send a message", "msg alice at the door", talk=talk, words=(Word.CONTACT,)
)
