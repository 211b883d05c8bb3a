"""The commands that ask a running messenger, a file each, named as the command; loaded when its command is given."""

from __future__ import annotations

import click

from services.app.commands import add_later

COMMANDS = {
    "status": "Whether it works, and what it has.",
    "contacts": "Who is known, by what name, and who is there.",
    "msg": "Send a message.",
    "chat": "Write and read in one place, as it comes.",
    "inbox": "What is new, and what waits to be delivered.",
    "history": "What was said.",
    "search": "Messages that hold these words.",
    "read": "Say that all of a conversation was seen.",
    "watch": "Tell what happens, a line of JSON each.",
    "send-file": "Offer a file.",
    "files": "Files that were offered, and how far they are.",
    "accept": "Take a file that was offered.",
    "refuse": "Do not take a file, or end one on its way.",
    "save": "Write a file that has come to a place of yours.",
    "groups": "Groups, and who is in them.",
    "mailbox": "Who keeps messages for this node, and for whom it keeps some.",
}


def add(group: click.Group) -> None:
    add_later(group, __name__, COMMANDS)
