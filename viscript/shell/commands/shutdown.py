"""`shutdown`: end an app, and say so when it had to be forced."""

from viscript.api.model import Shutdown
from viscript.launcher.model import Stopped, Way
from viscript.shell.model import Answer, Command, Question, Word
from viscript.shell.parse import expect_id


def ask(words: list[str]) -> Question[Stopped]:
    return Question(Shutdown(expect_id("shutdown", words)), Stopped, show)


def show(stopped: Stopped) -> Answer:
    lines = [f"shutdown pid {stopped.pid}"]
    if stopped.way is not Way.SIGNAL:
        lines.append(f"(ended by {stopped.way.value}: it did not go when asked)")
    return Answer(tuple(lines), stopped)


COMMAND = Command(("shutdown", "sd"), "shutdown|sd <id>", "End an app", "shutdown 2", ask, words=(Word.APP_ID,))
