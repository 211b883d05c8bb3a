"""The messenger's answers as lines of 80 columns, for the command line and viscript's shell. Pure; what others wrote
steers no terminal, and each empty table says what to do next.
"""

from __future__ import annotations

import re
import textwrap
import time
from collections.abc import Iterable, Mapping, Sequence

from services.messenger.api_words import (
    GROUP,
    Contacts,
    Conversations,
    FileState,
    Group,
    Groups,
    Mailboxes,
    Message,
    Status,
)

WIDTH = 80
SHORT = 12
SHORT_FILE = 8
MOST_OF_NAME = 24
SET_IN = " " * 6

_STEERING = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""Control characters, and those that turn the direction of what follows."""

STATES = {
    "waiting": "waiting",
    "boxed": "in a mailbox",
    "delivered": "delivered",
    "read": "read",
    "failed": "not sent",
    "unread": "new",
}


def tame(text: str) -> str:
    return _STEERING.sub("\N{REPLACEMENT CHARACTER}", text)


def line(text: str) -> str:
    """The same as one line."""
    return " ".join(tame(text).split())


def cut(text: str, width: int) -> str:
    text = line(text)
    return text if len(text) <= width else f"{text[: width - 1]}…"


def name_of(node_id: str, name: str) -> str:
    return name or node_id[:SHORT]


# messages


def message_lines(
    message: Message, names: Mapping[str, str] | None = None, width: int = WIDTH, *, is_new: bool = False
) -> list[str]:
    """A time, who, and the text, set in under one another; what is one's own with how far it has come, unless it
    `is_new`. `names` of conversations, by id, where messages of several stand together.
    """
    head = f"{_clock(message.kept_unix_s)} {_who(message, names)}: "
    first, *others = _text_of(message).split("\n")
    lines = _wrapped(head + first, width, first=head) + [row for text in others for row in _wrapped(text, width)]
    return lines if is_new else [*lines, *_fate(message, width)]


def _who(message: Message, names: Mapping[str, str] | None) -> str:
    who = "me" if message.is_mine else cut(name_of(message.sender, message.name), MOST_OF_NAME)
    if message.kind == "notice":
        who = f"({cut(message.topic, MOST_OF_NAME)})"
    if names is None or (message.conversation == message.sender and not message.is_mine):
        return who
    there = cut(name_of(message.conversation.removeprefix(GROUP), names.get(message.conversation, "")), MOST_OF_NAME)
    return f"{who} {'in' if message.conversation.startswith(GROUP) else 'to'} {there}"


def _wrapped(text: str, width: int, first: str = "") -> list[str]:
    """Set in, but for the beginning that stands `first`. What fits stays as it is: somebody may have set it so."""
    text = text if first else SET_IN + text
    if len(text) <= width:
        return [text.rstrip()]
    rest = text.removeprefix(first or SET_IN)
    return textwrap.wrap(rest, width, initial_indent=first or SET_IN, subsequent_indent=SET_IN) or [first.rstrip()]


def _text_of(message: Message) -> str:
    if message.file is None:
        return tame(message.text).strip("\n")
    file = message.file
    return f"file {file.id[:SHORT_FILE]} '{line(file.name)}', {size(file.size)}, {stage(file)}"


def _fate(message: Message, width: int) -> list[str]:
    if not message.is_mine or message.kind == "notice" or message.state == "delivered":
        return []
    there = [one for one in message.receipts if one.state in {"delivered", "read"}]
    of_all = f" ({len(there)} of {len(message.receipts)} have it)" if message.receipts else ""
    why = f": {line(message.why)}" if message.why else ""
    told = f"[{STATES[message.state]}{of_all}{why}]"
    return textwrap.wrap(told, width, initial_indent=SET_IN, subsequent_indent=f"{SET_IN} ")


def history_lines(messages: Iterable[Message], nothing: str, names: Mapping[str, str] | None = None) -> list[str]:
    """Under the days they came on."""
    lines: list[str] = []
    day = ""
    for message in messages:
        if (came := time.strftime("%A, %d %B %Y", time.localtime(message.kept_unix_s))) != day:
            lines += [f"-- {came}"]
            day = came
        lines += message_lines(message, names)
    return lines or textwrap.wrap(tame(nothing), WIDTH)


def inbox_lines(conversations: Conversations, unread: Sequence[Message], older: str) -> list[str]:
    """What is unread, under the conversations it is in; then what waits. `older`: the command that shows the rest."""
    lines: list[str] = []
    for one in conversations.conversations:
        news = [message for message in unread if message.conversation == one.id]
        if one.unread:
            lines += [f"{cut(name_of(one.id, one.name), WIDTH - 20)}: {one.unread} new"]
            lines += [f"  {row}" for message in news for row in message_lines(message, width=WIDTH - 2)]
            lines += [f"  … and {one.unread - len(news)} more"] if one.unread > len(news) else []
    waiting = sum(one.waiting for one in conversations.conversations)
    if not lines:
        lines = [f"nothing new (what was said before: {older})"]
    if waiting:
        lines += [f"{waiting} of your messages wait until they can be delivered (see: contacts)"]
    return lines


# tables


def contacts_lines(contacts: Contacts) -> list[str]:
    return table(
        ("NAME", "NODE", "NAMED BY", "STATE", " NEW"),
        (
            (
                cut(one.name or "-", 16),
                one.node_id[:SHORT],
                one.by or "-",
                _presence(one.is_online, one.heard_unix_s) + (", blocked" if one.is_blocked else ""),
                str(one.unread or "-"),
            )
            for one in contacts.contacts
        ),
        "no contacts yet: name a node (contacts set NODE-ID NAME), or write to one by its id (msg NODE-ID TEXT)",
    )


def files_lines(files: Iterable[FileState], names: dict[str, str]) -> list[str]:
    """`names` by node id."""
    return table(
        ("FILE", "NAME", " SIZE", "WITH", "STATE"),
        (
            (
                one.id[:SHORT_FILE],
                cut(one.name, 19),
                size(one.size),
                cut(("to " if one.is_mine else "from ") + name_of(one.node_id, names.get(one.node_id, "")), 18),
                cut(stage(one), 20),
            )
            for one in files
        ),
        "no files yet: send one with send-file WHO PATH",
    )


def groups_lines(groups: Groups, own_id: str) -> list[str]:
    return table(
        ("GROUP", "NAME", "OWNER", "MEMBERS"),
        (
            (
                one.id.removeprefix("group:")[:SHORT_FILE],
                cut(one.name, 20),
                "me" if one.owner == own_id else cut(_member(one.owner, {m.node_id: m.name for m in one.members}), 14),
                cut(_members(one, own_id) if one.is_member else "(left)", 30),
            )
            for one in groups.groups
        ),
        "no groups yet: make one with meshnet-messenger groups make NAME WHO…",
    )


def mailboxes_lines(boxes: Mailboxes) -> list[str]:
    lines = [
        f"{name_of(one.node_id, one.name)} keeps for this node"
        if one.is_agreed
        else f"{name_of(one.node_id, one.name)} was asked to keep for this node: {one.why or 'no answer yet'}"
        for one in boxes.mine
    ]
    lines += [
        f"this node keeps for {name_of(one.node_id, one.name)}: {one.items} items, {size(one.bytes)} of "
        f"{size(one.quota_bytes)}, each for {_days(one.keep_s)} at most"
        for one in boxes.kept
    ]
    lines = lines or [
        "no mailboxes: let a third node offer one (there: mailbox offer WHO), then take it (mailbox ask THAT-NODE)"
    ]
    return [row for text in lines for row in textwrap.wrap(line(text), WIDTH)]


def status_lines(status: Status) -> list[str]:
    rows = (
        ("state", status.summary),
        ("node", status.node_id),
        ("contacts", f"{status.contacts}, {status.online} of them reached now; {status.groups} groups"),
        ("messages", f"{status.messages}, {status.unread} unread, {status.waiting} waiting to be delivered"),
        ("files", f"{status.moving} on their way"),
        ("disk", f"{size(status.store_bytes)}, for others {size(status.kept_bytes)}"),
        *(
            (("refused", ", ".join(f"{line(why)}: {count}" for why, count in status.refused.items())),)
            if status.refused
            else ()
        ),
    )
    return [row for name, text in rows for row in _pair(name, tame(text))]


def table(titles: Sequence[str], rows: Iterable[Sequence[str]], nothing: str) -> list[str]:
    """Columns as wide as their longest; titles that begin with a space are of numbers, set to the right."""
    cells = [tuple(titles), *(tuple(tame(cell) for cell in row) for row in rows)]
    if len(cells) == 1:
        return textwrap.wrap(nothing, WIDTH)
    widths = [max(len(row[column].strip()) for row in cells) for column in range(len(titles))]
    return [
        "  ".join(
            cell.strip().rjust(width) if title.startswith(" ") else cell.ljust(width)
            for cell, width, title in zip(row, widths, titles, strict=True)
        ).rstrip()
        for row in cells
    ]


def size(count: int) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if count < 10_000:
            return f"{count} {unit}"
        count //= 1000
    return f"{count} TB"


def stage(file: FileState) -> str:
    """In a word or two; `offered` is told from the side of who must say something."""
    share = f"{100 * file.done_bytes // file.size} %" if file.size else "0 %"
    match file.stage:
        case "offered":
            return "offered" if file.is_mine else "wants your word"
        case "moving":
            return f"{share} there" if file.is_mine else f"{share} here"
        case "waiting":
            return f"waits at {share}"
        case _:
            return f"{file.stage}: {line(file.why)}" if file.why else file.stage


def _presence(is_online: bool, heard_unix_s: float) -> str:
    if is_online:
        return "there"
    if not heard_unix_s:
        return "not reached yet"
    return f"away since {time.strftime('%d %b %H:%M', time.localtime(heard_unix_s))}"


def _days(seconds: int) -> str:
    days = seconds // 86400
    return "a day" if days == 1 else f"{days} days"


def _clock(unix_s: float) -> str:
    return time.strftime("%H:%M", time.localtime(unix_s))


def _members(group: Group, own_id: str) -> str:
    return ", ".join("me" if one.node_id == own_id else name_of(one.node_id, one.name) for one in group.members)


def _member(node_id: str, names: dict[str, str]) -> str:
    return name_of(node_id, names.get(node_id, ""))


def _pair(name: str, text: str) -> list[str]:
    lines = textwrap.wrap(text, WIDTH - 11, break_on_hyphens=False) or [""]
    return [f"{name if not number else '':<11}{row}".rstrip() for number, row in enumerate(lines)]
