"""`ping`: how long an app takes to answer over signal."""

from viscript.api.model import PingApp, PingTime
from viscript.shell.model import Answer, Command, Question, Word
from viscript.shell.parse import expect_id
from viscript.shell.render import latency


def ask(words: list[str]) -> Question[PingTime]:
    return Question(PingApp(expect_id("ping", words)), PingTime, show)


def show(answer: PingTime) -> Answer:
    return Answer((f"ping time {latency(answer.seconds)}",), answer)


COMMAND = Command(("ping",), "ping <id>", "Measure how fast an app answers", "ping 2", ask, words=(Word.APP_ID,))
