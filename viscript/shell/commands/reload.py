"""`reload`: read the configuration anew. A broken one changes nothing and says why."""

from viscript.api.model import Reload
from viscript.launcher.model import Reloaded
from viscript.shell.model import Answer, Command, Question
from viscript.shell.parse import expect_nothing
from viscript.shell.render import pairs, plain


def ask(words: list[str]) -> Question[Reloaded]:
    expect_nothing("reload", words)
    return Question(Reload(), Reloaded, show)


def show(found: Reloaded) -> Answer:
    kinds = (("Added", found.added), ("Changed", found.changed), ("Removed", found.removed))
    rows = [(kind, plain(", ".join(names))) for kind, names in kinds if names]
    return Answer(pairs(rows) or ("Nothing has changed.",), found)


COMMAND = Command(("reload",), "reload", "Read the configuration anew", "reload", ask)
