"""`start`: run a configured app. Given arguments replace the configured ones, and are passed on as they
are.
"""

from viscript.api.client import ApiClient
from viscript.api.model import RunningApp, Start
from viscript.errors import UsageError
from viscript.shell.model import Answer, Command, Word
from viscript.shell.render import plain


def run(daemon: ApiClient, words: list[str]) -> Answer:
    if not words or words[0].startswith("-"):
        raise UsageError("start takes an app and its arguments, such as 'start apptracker 127.0.0.1:20000'")
    started = daemon.call(Start(words[0], tuple(words[1:])), RunningApp)
    command = plain(" ".join(started.command))
    return Answer((f"Added external app (ID: {started.id}, Command: {command})",), started)


COMMAND = Command(("start", "s"), "start|s <app> [args]", "Start an app", run, Word.APP)
