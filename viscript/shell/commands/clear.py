"""`clear`: empty the screen, where there is one."""

from viscript.shell.model import Act, Answer, Command, Talk
from viscript.shell.parse import expect_nothing


def talk(_talk: Talk, words: list[str]) -> Answer:
    expect_nothing("clear", words)
    return Answer(act=Act.CLEAR)


COMMAND = Command(("clear", "c", "cls"), "clear|c|cls", "Clear the screen", "clear", talk=talk)
