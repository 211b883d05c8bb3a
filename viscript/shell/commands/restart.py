"""`restart`: end an application and start it again under its id, with its arguments."""

from viscript.api.model import RestartApp, RunningApp
from viscript.shell.model import Answer, Command, Question, Word
from viscript.shell.parse import expect_id
from viscript.shell.render import line


def ask(words: list[str]) -> Question[RunningApp]:
    return Question(RestartApp(expect_id("restart", words)), RunningApp, show)


def show(started: RunningApp) -> Answer:
    command = line(" ".join(started.command))
    return Answer((f"Restarted external app (ID: {started.id}, Command: {command})",), started)


COMMAND = Command(("restart",), "restart <id>", "End an app and start it again", "restart 2", ask, words=(Word.APP_ID,))
