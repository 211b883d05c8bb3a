"""`version`: of this shell."""

from viscript import __version__
from viscript.api.client import ApiClient
from viscript.shell.model import Answer, Command
from viscript.shell.parse import expect_nothing


def run(_daemon: ApiClient, words: list[str]) -> Answer:
    expect_nothing("version", words)
    return Answer((f"viscript {__version__}",), {"version": __version__})


COMMAND = Command(("version",), "version", "Show viscript's version", run)
