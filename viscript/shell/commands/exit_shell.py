"""`exit`: leave the shell. What runs goes on running."""

from viscript.shell.model import Act, Answer, Command, Talk
from viscript.shell.parse import expect_nothing


def talk(_talk: Talk, words: list[str]) -> Answer:
    expect_nothing("exit", words)
    return Answer(act=Act.EXIT)


COMMAND = Command(("exit", "quit"), "exit|quit", "Leave the shell; apps go on running", "exit", talk=talk)
