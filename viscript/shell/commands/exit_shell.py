"""`exit`: leave the shell. What runs goes on running."""

from viscript.api.client import ApiClient
from viscript.shell.model import Act, Answer, Command
from viscript.shell.parse import expect_nothing


def run(_daemon: ApiClient, words: list[str]) -> Answer:
    expect_nothing("exit", words)
    return Answer(act=Act.EXIT)


COMMAND = Command(("exit", "quit"), "exit|quit", "Leave the shell; apps go on running", run)
