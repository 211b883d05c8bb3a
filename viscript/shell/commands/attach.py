"""`attach`: sit at an application's input and output; leaving it does not end it."""

from viscript.api.model import Apps, ListConfigured, ListRunning, RunningApp, RunningApps
from viscript.errors import NoSuchIdError, UsageError, ViscriptError
from viscript.shell import screen
from viscript.shell.model import Act, Answer, Caller, Command, Talk, Word
from viscript.shell.parse import expect_id
from viscript.shell.render import line


def talk(talk: Talk, words: list[str]) -> Answer:
    app_id = expect_id("attach", words)
    if talk.as_json or not talk.live:
        raise UsageError(f"attach needs a terminal (what an app writes is shown by 'logs {app_id} -f' anywhere)")
    app = _find_running(talk.daemon, app_id)
    if is_daemon(talk.daemon, app.app):
        raise ViscriptError(f"'{app.app}' is a daemon and is not attached (see what it writes: logs {app_id} -f)")
    sit_at(talk, app, offset=None)
    return Answer(act=Act.TOLD)


def sit_at(talk: Talk, app: RunningApp, offset: int | None) -> None:
    from viscript.shell.stream import attach  # noqa: PLC0415 (it loads the terminal's modes)

    screen.say(line(" ".join(app.command)))
    screen.say("(Ctrl+Z detaches)")
    attach(talk, app.id, offset)


def is_daemon(daemon: Caller, name: str) -> bool:
    return any(app.name == name and app.daemon for app in daemon.call(ListConfigured(), Apps).apps)


def _find_running(daemon: Caller, app_id: int) -> RunningApp:
    for app in daemon.call(ListRunning(), RunningApps).apps:
        if app.id == app_id:
            return app
    raise NoSuchIdError(app_id)


COMMAND = Command(
    ("attach",),
    "attach <id>",
    "See what an app writes, and type to it",
    "attach 2",
    talk=talk,
    words=(Word.APP_ID,),
    elsewhere=True,
)
