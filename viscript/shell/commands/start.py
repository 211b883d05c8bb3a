"""`start`: run a configured app. Given arguments replace the configured ones, and are passed on as they are; -a sits at
it at once.
"""

from viscript.api.model import RunningApp, Start
from viscript.errors import UsageError
from viscript.shell import screen
from viscript.shell.commands.attach import is_daemon, sit_at
from viscript.shell.model import Act, Answer, Command, Question, Talk, Word
from viscript.shell.render import added


def ask(words: list[str]) -> Question[RunningApp]:
    if words[:1] == ["-a"]:
        raise UsageError("start -a attaches to one app on one board")
    if not words or words[0].startswith("-"):
        raise UsageError("start takes an app and its arguments, such as 'start apptracker 127.0.0.1:20000'")
    return Question(Start(words[0], tuple(words[1:])), RunningApp, show)


def show(started: RunningApp) -> Answer:
    return Answer((added(started),), started)


def talk(talk: Talk, words: list[str]) -> Answer:
    question = ask(words[1:])
    assert isinstance(question.request, Start)
    detached = is_daemon(talk.daemon, question.request.app)
    if not detached and (talk.as_json or not talk.live):
        raise UsageError("start -a needs a terminal (leave -a out: what it writes is kept for 'logs')")
    started = talk.daemon.call(question.request, RunningApp)
    if detached:
        return Answer((added(started), "(it is a daemon, and was not attached)"), started)
    screen.say(added(started))
    sit_at(talk, started, offset=0)
    return Answer(act=Act.TOLD)


def is_attaching(words: list[str], _talk: Talk) -> bool:
    return words[:1] == ["-a"]


COMMAND = Command(
    ("start", "s"),
    "start|s [-a] <app> [args]",
    "Start an app; -a attaches to it",
    "start apptracker 127.0.0.1:20000",
    ask,
    talk,
    is_attaching,
    words=(Word.APP,),
    flags=("-a",),
    passes_on=True,
)
