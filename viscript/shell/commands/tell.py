"""`tell`: a command of the application's own."""

from viscript.api.model import Said, TellApp
from viscript.errors import UsageError
from viscript.shell.model import Answer, Command, Question, Word
from viscript.shell.parse import expect_id
from viscript.shell.render import tame


def ask(words: list[str]) -> Question[Said]:
    if len(words) < 2:
        raise UsageError("tell takes an id and a command of that app, such as 'tell 2 flush' (see res_usage)")
    return Question(TellApp(expect_id("tell", words[:1]), words[1], tuple(words[2:])), Said, show)


def show(said: Said) -> Answer:
    text = tame(said.text).removesuffix("\n")
    return Answer(tuple(text.split("\n")) if text else (), said)


COMMAND = Command(
    ("tell",),
    "tell <id> <command> [args]",
    "Give an app a command of its own",
    "tell 2 flush",
    ask,
    words=(Word.APP_ID, Word.OWN_COMMAND),
    passes_on=True,
)
