"""`log_level`: how much an application tells, or from now on is to tell."""

from typing import Any

from viscript.api.model import AskSelf, Done, SelfReport, SetLogLevel
from viscript.errors import UsageError
from viscript.shell.model import Answer, Command, Question, Word
from viscript.shell.parse import expect_id
from viscript.shell.render import plain


def ask(words: list[str]) -> Question[Any]:
    app_id = expect_id("log_level", words[:1])
    if len(words) == 1:
        return Question(AskSelf(app_id), SelfReport, show_level)
    if len(words) != 2:
        raise UsageError("log_level takes an id and a level, such as 'log_level 2 debug'")
    said = f"log level of id {app_id} is now {plain(words[1])}"
    return Question(SetLogLevel(app_id, words[1]), Done, lambda done: Answer((said,), done))


def show_level(report: SelfReport) -> Answer:
    return Answer((f"log level {plain(report.log_level)}",), {"log_level": report.log_level})


COMMAND = Command(
    ("log_level",),
    "log_level <id> [level]",
    "Show or set how much an app logs",
    "log_level 2 debug",
    ask,
    words=(Word.APP_ID, Word.LEVEL),
)
