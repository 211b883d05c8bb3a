"""`apps`: what can be started."""

from viscript.api.client import ApiClient
from viscript.api.model import Apps, AskStatus, ListConfigured, Status
from viscript.shell.model import Answer, Command
from viscript.shell.parse import expect_nothing
from viscript.shell.render import plain


def run(daemon: ApiClient, words: list[str]) -> Answer:
    expect_nothing("apps", words)
    found = daemon.call(ListConfigured(), Apps)
    if not found.apps:
        trouble = daemon.call(AskStatus(), Status).trouble
        return Answer((plain(trouble) or "No apps are configured.",), found)
    width = max(len(app.name) for app in found.apps) + 4
    lines = [f"{app.name:<{width}}-{plain(app.desc)}" for app in found.apps]
    return Answer((*lines, 'Type "help <name>" for expected parameters.'), found)


COMMAND = Command(("apps",), "apps", "List the apps that can be started", run)
