"""`status`: how the daemon itself is, and what ended lately."""

import time

from viscript.api.model import AskStatus, Status
from viscript.launcher.model import Ended
from viscript.shell.model import Answer, Command, Question
from viscript.shell.parse import expect_nothing
from viscript.shell.render import duration, ending, line, pairs, plain

SHOWN = 5


def ask(words: list[str]) -> Question[Status]:
    expect_nothing("status", words)
    return Question(AskStatus(), Status, show)


def show(status: Status) -> Answer:
    rows = [
        ("Viscript", f"{line(status.version)}, pid {status.pid}, up {duration(status.uptime_s)}"),
        ("Apps", f"{status.apps} configured, {status.running} running, {status.connected} on signal"),
        ("Signal", line(status.signal_address)),
        ("Config", line(status.config)),
    ]
    newest = sorted(status.ended, key=lambda ended: -ended.ended_unix)[:SHOWN]
    rows += [("Ended" if number == 0 else "", _tell_end(ended, status.waiting)) for number, ended in enumerate(newest)]
    if status.trouble:
        rows.append(("Trouble", plain(status.trouble)))
    return Answer(pairs(rows), status)


def _tell_end(ended: Ended, waiting: tuple[int, ...]) -> str:
    ago = duration(max(time.time() - ended.ended_unix, 0))
    then = ", starts again soon" if ended.id in waiting else ""
    return f"{line(ended.app)} (id {ended.id}): {ending(ended)}, {ago} ago{then}"


COMMAND = Command(("status",), "status", "Show how viscript itself is, and what ended", "status", ask)
