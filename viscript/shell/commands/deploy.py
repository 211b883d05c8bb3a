"""`deploy`: give other boards an application of ours, started there at every boot."""

import msgspec

from viscript.api.model import AskEntry, Deploy, RunningApp
from viscript.errors import UsageError
from viscript.launcher.model import App
from viscript.shell.boards import ask_boards
from viscript.shell.model import Answer, Command, Question, Talk, Word
from viscript.shell.parse import read_nodes
from viscript.shell.render import added


def talk(talk: Talk, words: list[str]) -> Answer:
    if len(words) < 2:
        raise UsageError("deploy takes an app and boards, such as 'deploy apptracker pi-3 pi-4'")
    names = read_nodes(words[1:])
    entry = msgspec.structs.replace(talk.daemon.call(AskEntry(words[0]), App), autostart=True)
    return ask_boards(talk, names, Question(Deploy(words[0], entry), RunningApp, show))


def show(started: RunningApp) -> Answer:
    return Answer((added(started),), started)


COMMAND = Command(
    ("deploy",),
    "deploy <app> <node>...",
    "Add an app to boards and start it there",
    "deploy apptracker pi-3 pi-4",
    talk=talk,
    words=(Word.APP, Word.NODE),
)
