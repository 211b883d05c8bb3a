"""`list_apps`: what runs. With -f the arguments too."""

from viscript.api.model import ListRunning, RunningApps
from viscript.shell.model import Answer, Command, Question
from viscript.shell.parse import take_flag
from viscript.shell.render import line


def ask(words: list[str]) -> Question[RunningApps]:
    full = take_flag("list_apps", words, "-f")
    return Question(ListRunning(), RunningApps, lambda found: show(found, full=full))


def show(found: RunningApps, *, full: bool) -> Answer:
    if not found.apps:
        return Answer(("No apps are running.",), found)
    shown = ((app.id, app.command if full else app.command[:1]) for app in found.apps)
    return Answer(tuple(f"[ {app_id} ] -> [ {line(' '.join(words))} ]" for app_id, words in shown), found)


COMMAND = Command(
    ("list_apps", "la"),
    "list_apps|la [-f]",
    "List the running apps; -f with arguments",
    "list_apps -f",
    ask,
    flags=("-f",),
)
