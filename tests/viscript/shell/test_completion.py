"""What Tab offers, asked of a real daemon."""

from __future__ import annotations

from pathlib import Path

import pytest
from prompt_toolkit.completion import CompleteEvent
from prompt_toolkit.document import Document

from tests.viscript.daemon import Daemon
from viscript.api.client import ApiClient
from viscript.api.model import ListNodes, Nodes
from viscript.shell.commands import TABLE
from viscript.shell.completion import LEVELS, Names


def offers(names: Names, typed: str) -> list[str]:
    return [found.text for found in names.get_completions(Document(typed), CompleteEvent())]


def test_commands_come_first(tmp_path: Path) -> None:
    names = Names(ApiClient(tmp_path / "none"))
    assert offers(names, "") == [command.names[0] for command in TABLE]
    assert offers(names, "  res") == ["res_usage", "restart", "reset"]
    assert offers(names, "nonsense x") == []
    assert offers(names, "start app") == [], "there is no daemon, and no harm"


def test_each_argument_has_its_names(daemon: Daemon) -> None:
    daemon.say("start", "deaf")
    with daemon.api() as api:
        (node,) = api.call(ListNodes(), Nodes).nodes
        names = Names(api)
        assert offers(names, "s ") == ["apptracker", "deaf", "brief", "parrot"]
        assert offers(names, "start appt") == ["apptracker"]
        assert offers(names, "start apptracker ") == []
        assert offers(names, "ping ") == ["2"]
        assert offers(names, "ping @") == [f"@{node.name}/"]
        assert offers(names, "log_level 2 ") == list(LEVELS)
        assert offers(names, "help de") == ["deploy", "deaf"]
        assert offers(names, "on ") == [node.name, "all"]
        assert offers(names, "on all rest") == ["restart"]
        assert offers(names, "on all ping ") == ["2"]
        assert offers(names, "deploy deaf ") == offers(names, f"deploy deaf {node.name} ") == [node.name, "all"]


@pytest.mark.parametrize(
    ("typed", "flags"),
    [("logs -", ["-f", "-n"]), ("logs 2 -f -", ["-n"]), ("la -", ["-f"]), ("top --", ["--all"]), ("ping -", [])],
)
def test_flags_are_offered_once(tmp_path: Path, typed: str, flags: list[str]) -> None:
    assert offers(Names(ApiClient(tmp_path / "none")), typed) == flags
