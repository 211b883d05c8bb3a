"""`chat`: write and read in one place, as it comes; without a terminal it sends the lines of standard input."""

import sys

from viscript.errors import UsageError
from viscript.shell import screen
from viscript.shell.model import Act, Answer, Command, Talk, Word


def talk(talk: Talk, words: list[str]) -> Answer:
    if len(words) != 1 or talk.as_json:
        raise UsageError("chat takes one name, such as 'chat alice' (see contacts; for programs: msg and inbox --json)")
    from services.messenger.chat import chat_by_lines, chat_live  # noqa: PLC0415 (only when asked)
    from viscript.shell import messenger  # noqa: PLC0415

    with messenger.translated():
        if talk.live:
            chat_live(words[0], screen.say)
        else:
            chat_by_lines(words[0], sys.stdin, screen.say)
    return Answer(act=Act.TOLD)


COMMAND = Command(
    ("chat",), "chat <who>", "Write and read as it comes; Ctrl+D ends", "chat alice", talk=talk, words=(Word.CONTACT,)
)
