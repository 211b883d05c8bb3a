"""`list_apps`: what runs. With -f the arguments too."""

from viscript.api.client import ApiClient
from viscript.api.model import ListRunning, RunningApps
from viscript.shell.model import Answer, Command
from viscript.shell.parse import take_flag
from viscript.shell.render import plain


def run(daemon: ApiClient, words: list[str]) -> Answer:
    full = take_flag("list_apps", words, "-f")
    found = daemon.call(ListRunning(), RunningApps)
    if not found.apps:
        return Answer(("No apps are running.",), found)
    shown = ((app.id, app.command if full else app.command[:1]) for app in found.apps)
    return Answer(tuple(f"[ {app_id} ] -> [ {plain(' '.join(words))} ]" for app_id, words in shown), found)


COMMAND = Command(("list_apps", "la"), "list_apps|la [-f]", "List the running apps; -f with arguments", run)
