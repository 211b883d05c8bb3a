"""Commands put to several boards: how the answers stand together, who is named as silent, and the exit code."""

from __future__ import annotations

import json

import msgspec
import pytest

from tests.viscript.daemon import Daemon
from viscript.api.model import NODE_AWAY, Failure, ListNodes, NodeReply, Nodes, PingTime, RunningApps
from viscript.errors import UsageError
from viscript.shell.boards import show_replies
from viscript.shell.commands import BY_NAME
from viscript.shell.parse import read_nodes, take_node


def reply(node: str, result: msgspec.Struct | None = None, code: str = "", text: str = "") -> NodeReply:
    if result is None:
        return NodeReply(node, error=Failure(code, text))
    return NodeReply(node, msgspec.Raw(msgspec.json.encode(result)))


@pytest.fixture
def own(daemon: Daemon) -> str:
    """The name by which this board knows itself."""
    with daemon.api() as api:
        (node,) = api.call(ListNodes(), Nodes).nodes
    return node.name


def test_each_boards_answer_stands_under_its_name() -> None:
    question = BY_NAME["ping"].ask
    assert question is not None
    answer = show_replies((reply("pi-3", PingTime(0.0012)), reply("pi-4", PingTime(2.5))), question(["2"]))
    assert answer.lines == ("@pi-3", "ping time 1.2ms", "@pi-4", "ping time 2.5s")
    assert not answer.failed
    alone = show_replies((reply("pi-3", PingTime(0.0012)),), question(["2"]))
    assert alone.lines == ("ping time 1.2ms",)


def test_who_did_not_answer_is_named_at_the_end() -> None:
    question = BY_NAME["list_apps"].ask
    assert question is not None
    replies = (
        reply("pi-3", code=NODE_AWAY, text="no connection"),
        reply("pi-4", RunningApps(())),
        reply("pi-5", code="no-such-id", text="No running app has the id 2."),
        reply("pi-6", PingTime(1.0)),
    )
    answer = show_replies(replies, question([]))
    assert answer.lines == ("@pi-4", "No apps are running.")
    assert answer.problems[:2] == ("pi-3 did not answer: no connection", "pi-5: No running app has the id 2.")
    assert answer.problems[2].startswith("pi-6: cannot understand the answer")
    assert answer.failed
    assert json.loads(msgspec.json.encode(answer.data))["pi-3"] == {
        "error": {"code": NODE_AWAY, "text": "no connection"}
    }


def test_a_command_is_done_on_a_named_board(daemon: Daemon, own: str) -> None:
    daemon.say("start", "apptracker")
    assert daemon.say("on", own, "list_apps") == daemon.say("list_apps")
    for words in (("ping", f"{own}/2"), ("ping", f"@{own}/2"), ("on", own, "ping", "2"), ("on", "all", "ping", "2")):
        assert daemon.say(*words).startswith("ping time ")
    assert daemon.say("ru", "-g", f"{own}/2").startswith("MemStats HeapAlloc:")
    assert list(json.loads(daemon.say("ping", f"{own}/2", "--json"))[own]) == ["seconds"]
    assert json.loads(daemon.say("on", "all", "status", "--json"))[own]["running"] == 1
    failed = daemon.shell("ping", f"{own}/9", "--json")
    assert (failed.returncode, json.loads(failed.stdout)[own]["error"]["code"]) == (1, "no-such-id")
    failed = daemon.shell("ping", f"{own}/9")
    assert (failed.returncode, failed.stdout) == (1, "")
    assert failed.stderr == f"{own}: No running app has the id 9. Try running 'list_apps'.\n"


def test_arguments_stay_as_they_are_on_other_boards_too(daemon: Daemon, own: str) -> None:
    added = daemon.say("on", own, "start", "deaf", "A b", "pi-3/4", "--json")
    assert added == f"Added external app (ID: 2, Command: {daemon.directory}/bin/deaf A b pi-3/4 --json)\n"


def test_an_app_is_deployed(daemon: Daemon, own: str) -> None:
    assert daemon.say("deploy", "deaf", own) == f"Added external app (ID: 2, Command: {daemon.directory}/bin/deaf)\n"
    unknown = daemon.shell("deploy", "nothing", own)
    assert (unknown.returncode, unknown.stderr) == (1, "App with name 'nothing' doesn't exist. Try running 'apps'.\n")


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("on", "all"), "on takes a board and a command"),
        (("on", "all", "stauts"), "Did you mean 'status'?"),
        (("on", "all", "version"), "version is not for other boards"),
        (("on", "all", "on", "all", "apps"), "on is not for other boards"),
        (("on", "all", "attach", "2"), "attach works with one board at a time"),
        (("on", "all", "logs", "2", "-f"), "logs -f follows one app on one board"),
        (("on", "all", "start", "-a", "deaf"), "start -a attaches to one app on one board"),
        (("on", "nobody", "status"), "'nobody'"),
        (("on", "a b", "status"), "'a b' is not the name of a board"),
        (("deploy", "deaf"), "deploy takes an app and boards"),
    ],
)
def test_what_cannot_be_asked_is_told(daemon: Daemon, words: tuple[str, ...], text: str) -> None:
    done = daemon.shell(*words)
    assert (done.returncode, done.stdout) == (2, "")
    assert text in done.stderr


def test_ids_on_boards_are_read() -> None:
    assert take_node(["-g", "pi-3/4"]) == ("pi-3", ["-g", "4"])
    assert take_node(["@pi.3/4", "-f"]) == ("pi.3", ["4", "-f"])
    assert take_node(["2", "do", "pi-3/4"]) == (None, ["2", "do", "pi-3/4"])
    assert take_node(["pi-3/x"]) == (None, ["pi-3/x"])
    assert read_nodes(["@pi-3", "pi-4"]) == ("pi-3", "pi-4")
    assert read_nodes(["pi-3", "all"]) == ()
    with pytest.raises(UsageError):
        read_nodes(["../x"])
