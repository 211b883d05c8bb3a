"""`clear`: empty the screen, where there is one."""

from viscript.api.client import ApiClient
from viscript.shell.model import Act, Answer, Command
from viscript.shell.parse import expect_nothing


def run(_daemon: ApiClient, words: list[str]) -> Answer:
    expect_nothing("clear", words)
    return Answer(act=Act.CLEAR)


COMMAND = Command(("clear", "c", "cls"), "clear|c|cls", "Clear the screen", run)
