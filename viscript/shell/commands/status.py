"""`status`: how the daemon itself is."""

from viscript.api.client import ApiClient
from viscript.api.model import AskStatus, Status
from viscript.shell.model import Answer, Command
from viscript.shell.parse import expect_nothing
from viscript.shell.render import duration, pairs, plain


def run(daemon: ApiClient, words: list[str]) -> Answer:
    expect_nothing("status", words)
    status = daemon.call(AskStatus(), Status)
    rows = [
        ("Viscript", f"{status.version}, pid {status.pid}, up {duration(status.uptime_s)}"),
        ("Apps", f"{status.apps} configured, {status.running} running, {status.connected} on signal"),
        ("Signal", status.signal_address),
        ("Config", plain(status.config)),
    ]
    if status.trouble:
        rows.append(("Trouble", plain(status.trouble)))
    return Answer(pairs(rows), status)


COMMAND = Command(("status",), "status", "Show how viscript itself is", run)
