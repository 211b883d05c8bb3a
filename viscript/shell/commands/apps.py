"""`apps`: what can be started."""

from viscript.api.model import Apps, ListConfigured
from viscript.shell.model import Answer, Command, Question
from viscript.shell.parse import expect_nothing
from viscript.shell.render import line, plain


def ask(words: list[str]) -> Question[Apps]:
    expect_nothing("apps", words)
    return Question(ListConfigured(), Apps, show)


def show(found: Apps) -> Answer:
    if not found.apps:
        return Answer((plain(found.trouble) or "No apps are configured.",), found)
    width = max(len(app.name) for app in found.apps) + 4
    lines = [f"{line(app.name):<{width}}-{line(app.desc)}" for app in found.apps]
    return Answer((*lines, 'Type "help <name>" for expected parameters.'), found)


COMMAND = Command(("apps",), "apps", "List the apps that can be started", "apps", ask)
