"""`ping`: how long an app takes to answer over signal."""

from viscript.api.client import ApiClient
from viscript.api.model import PingApp, PingTime
from viscript.shell.model import Answer, Command, Word
from viscript.shell.parse import expect_id
from viscript.shell.render import latency


def run(daemon: ApiClient, words: list[str]) -> Answer:
    answer = daemon.call(PingApp(expect_id("ping", words)), PingTime)
    return Answer((f"ping time {latency(answer.seconds)}",), answer)


COMMAND = Command(("ping",), "ping <id>", "Measure how fast an app answers", run, Word.APP_ID)
