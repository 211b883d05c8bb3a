"""`res_usage`: what an app and its children use."""

from viscript.api.client import ApiClient
from viscript.api.model import AskUsage
from viscript.launcher.model import Usage
from viscript.shell.model import Answer, Command, Word
from viscript.shell.parse import expect_id
from viscript.shell.render import duration, pairs, quantity


def run(daemon: ApiClient, words: list[str]) -> Answer:
    usage = daemon.call(AskUsage(expect_id("res_usage", words)), Usage)
    rows = [
        ("CPU", f"{usage.cpu_percent:.1f} % now, {usage.cpu_s:.2f} s in all"),
        ("Memory", quantity(usage.rss)),
        ("Threads", f"{usage.threads} in {usage.processes} process{'es' * (usage.processes != 1)}"),
        ("Running", f"{duration(usage.uptime_s)}, pid {usage.pid}"),
    ]
    return Answer(pairs(rows), usage)


COMMAND = Command(("res_usage", "ru"), "res_usage|ru <id>", "Show an app's CPU and memory", run, Word.APP_ID)
