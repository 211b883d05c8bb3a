"""`inbox`: what is new in all conversations, or the latest of one, which is read thereby."""

from viscript.errors import UsageError
from viscript.shell.model import Answer, Command, Talk, Word


def talk(_talk: Talk, words: list[str]) -> Answer:
    if len(words) > 1:
        raise UsageError("inbox takes at most one name, such as 'inbox alice' (see contacts)")
    return _show_one(words[0]) if words else _show_news()


def _show_news() -> Answer:
    from services.messenger.api_words import (  # noqa: PLC0415 (only when asked)
        Conversations,
        GetConversations,
        GetHistory,
        Messages,
    )
    from services.messenger.told import inbox_lines  # noqa: PLC0415
    from viscript.shell import messenger  # noqa: PLC0415

    conversations = messenger.ask(GetConversations(), Conversations)
    unread = messenger.ask(GetHistory(unread=True), Messages).messages
    data = {"conversations": conversations.conversations, "unread": unread}
    return Answer(tuple(inbox_lines(conversations, unread, "inbox WHO")), data)


def _show_one(whom: str) -> Answer:
    from services.messenger.api_words import Done, GetHistory, Messages, Read  # noqa: PLC0415 (only when asked)
    from services.messenger.told import history_lines, line  # noqa: PLC0415
    from viscript.shell import messenger  # noqa: PLC0415

    messages = messenger.ask(GetHistory(whom), Messages)
    if any(message.state == "unread" for message in messages.messages):
        messenger.ask(Read(whom, messages.messages[-1].number), Done)
    name = line(whom)
    return Answer(
        tuple(history_lines(messages.messages, f"nothing was said with '{name}' yet (msg {name} …)")), messages
    )


COMMAND = Command(
    ("inbox",),
    "inbox [who]",
    "Show new messages, or the latest of one",
    "inbox alice",
    talk=talk,
    words=(Word.CONTACT,),
)
