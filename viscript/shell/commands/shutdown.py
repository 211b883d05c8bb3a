"""`shutdown`: end an app, and say so when it had to be forced."""

from viscript.api.client import ApiClient
from viscript.api.model import Shutdown
from viscript.launcher.model import Stopped, Way
from viscript.shell.model import Answer, Command, Word
from viscript.shell.parse import expect_id


def run(daemon: ApiClient, words: list[str]) -> Answer:
    stopped = daemon.call(Shutdown(expect_id("shutdown", words)), Stopped)
    lines = [f"shutdown pid {stopped.pid}"]
    if stopped.way is not Way.SIGNAL:
        lines.append(f"(ended by {stopped.way.value}: it did not go when asked)")
    return Answer(tuple(lines), stopped)


COMMAND = Command(("shutdown", "sd"), "shutdown|sd <id>", "End an app", run, Word.APP_ID)
