"""`shutdown`: end an app, and say which way it took when that was not the friendly one."""

from viscript.api.model import Shutdown
from viscript.launcher.model import Stopped, Way
from viscript.shell.model import Answer, Command, Question, Word
from viscript.shell.parse import expect_id

TOLD = {
    Way.SIGTERM: "(ended by SIGTERM: it did not go over signal)",
    Way.SIGKILL: "(ended by SIGKILL: it did not go when asked)",
    Way.CALLED_OFF: "(it had ended already, and is not started again)",
}


def ask(words: list[str]) -> Question[Stopped]:
    return Question(Shutdown(expect_id("shutdown", words)), Stopped, show)


def show(stopped: Stopped) -> Answer:
    lines = (f"shutdown pid {stopped.pid}", TOLD.get(stopped.way, ""))
    return Answer(tuple(filter(None, lines)), stopped)


COMMAND = Command(("shutdown", "sd"), "shutdown|sd <id>", "End an app", "shutdown 2", ask, words=(Word.APP_ID,))
