"""The commands that ask a running messenger, a file each, named as the command; loaded when its command is given."""

from __future__ import annotations

import importlib

import click

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


class Later(click.Command):
    """Stands for a command until it is given."""

    def __init__(self, name: str, short_help: str) -> None:
        super().__init__(name, short_help=short_help)

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: object
    ) -> click.Context:
        module = importlib.import_module(f"{__name__}.{str(self.name).replace('-', '_')}")
        command: click.Command = module.command
        return command.make_context(info_name, args, parent, **extra)


def add(group: click.Group) -> None:
    for name, short_help in COMMANDS.items():
        group.add_command(Later(name, short_help))
