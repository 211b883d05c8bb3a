"""`version`: of this shell."""

from viscript import __version__
from viscript.shell.model import Answer, Command, Talk
from viscript.shell.parse import expect_nothing


def talk(_talk: Talk, words: list[str]) -> Answer:
    expect_nothing("version", words)
    return Answer((f"viscript {__version__}",), {"version": __version__})


COMMAND = Command(("version",), "version", "Show viscript's version", "version", talk=talk)
