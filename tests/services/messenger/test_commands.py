"""The command line, at a socket behind which a desk remembers: what it prints, and with which exit code it ends."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from services.messenger.__main__ import main
from services.messenger.commands import COMMANDS
from tests.services.messenger.desk import ALICE, Desk, desk_in_a_thread

Say = Callable[..., Result]


@pytest.fixture
def there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Desk, Say]]:
    path = tmp_path / "m.sock"
    monkeypatch.setenv("MESSENGER_SOCKET", str(path))
    with desk_in_a_thread(path) as (desk, _):
        yield desk, lambda *words, given="": CliRunner().invoke(main, words, input=given)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself_with_an_example(name: str) -> None:
    shown = CliRunner().invoke(main, [name, "--help"])
    assert shown.exit_code == 0
    assert f"meshnet-messenger {name}" in shown.stdout.partition("Options:")[0]
    assert max(map(len, shown.stdout.splitlines())) <= 80


def test_nobody_there(tmp_path: Path) -> None:
    done = CliRunner().invoke(main, ["inbox", "--socket", str(tmp_path / "none")])
    assert done.exit_code == 1
    assert "is it running? meshnet-messenger run" in done.stderr


def test_messages(there: tuple[Desk, Say]) -> None:
    desk, say = there
    assert say("msg", "alice", "at", "the door").output == ""
    assert say("msg", "alice", "-", given="two\nlines\n").exit_code == 0
    assert [one.text for one in desk.messages] == ["at the door", "two\nlines"]
    waited = say("msg", "--wait", "0.2", "alice", "quick")
    assert (waited.exit_code, waited.output) == (1, "waiting\n")
    desk.delivers = True
    waited = say("msg", "--wait", "20", "alice", "quick", "--json")
    assert (waited.exit_code, json.loads(waited.output)["state"]) == (0, "delivered")
    asked_wrongly = say("msg", "nobody", "hi")
    assert (asked_wrongly.exit_code, asked_wrongly.stderr) == (
        2,
        "messenger: nobody is called 'nobody' (see: contacts)\n",
    )
    assert say("history").output.splitlines()[1].endswith("me to alice: at the door")
    assert say("chat", "alice", given="three\n").exit_code == 0
    assert desk.messages[-1].text == "three"


def test_what_is_shown_of_one_conversation_is_read(there: tuple[Desk, Say]) -> None:
    desk, say = there
    desk.write_down("hello", mine=False)
    assert say("inbox").output.startswith("alice: 1 new\n")
    assert say("history", "alice", "--keep-unread").exit_code == 0
    assert [one.state for one in desk.messages] == ["unread"]
    assert say("history", "alice").output.endswith("alice: hello\n")
    assert [one.state for one in desk.messages] == ["read"]


def test_contacts_and_files(there: tuple[Desk, Say], tmp_path: Path) -> None:
    _, say = there
    assert say("contacts").output.startswith("no contacts yet")
    assert json.loads(say("contacts", "set", ALICE, "alice", "--json").output)["contacts"][0]["name"] == "alice"
    data = os.urandom(100_000)
    (tmp_path / "a.bin").write_bytes(data)
    assert say("send-file", "alice", str(tmp_path / "a.bin")).output.startswith("offered as a.bin")
    assert say("files").output.splitlines()[1].startswith("a.bin")
    assert say("accept", "other").exit_code == 2
    assert say("save", "a.bin", str(tmp_path / "b.bin")).output == f"{tmp_path / 'b.bin'}\n"
    assert (tmp_path / "b.bin").read_bytes() == data
    assert say("save", "a.bin", str(tmp_path / "b.bin")).exit_code == 1


def test_a_messenger_that_fails_is_told(there: tuple[Desk, Say]) -> None:
    _, say = there
    done = say("search", "x")
    assert (done.exit_code, done.stderr) == (1, "messenger: it failed: see the messenger's log\n")
