"""The shell's messages: commands at a real messenger socket, behind which a desk remembers; and the live conversation
on a terminal.
"""

from __future__ import annotations

import asyncio
import io
import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from prompt_toolkit.completion import CompleteEvent
from prompt_toolkit.document import Document

from services.keys import NodeId
from services.messenger.api_words import Group, GroupMember
from tests.services.messenger.desk import ALICE, ME, Desk, desk_in_a_thread
from tests.viscript.daemon import ROOT
from tests.viscript.shell.terminal import Terminal
from viscript.api.client import ApiClient
from viscript.shell.commands.peer import Terms, read_terms
from viscript.shell.completion import Names
from viscript.shell.run import run_words


class Shell:
    """Runs commands here; what they say is in `out` and `err`."""

    def __init__(self, desk: Desk, loop: asyncio.AbstractEventLoop, capture: pytest.CaptureFixture[str]) -> None:
        self.desk, self._loop, self._capture = desk, loop, capture
        self.out = self.err = ""

    def say(self, *words: str) -> int:
        code = run_words(ApiClient(Path("/nonexistent")), list(words))
        self.out, self.err = self._capture.readouterr()
        return code

    def there(self, happens: Callable[[], object]) -> None:
        """In the messenger's thread, to its end."""

        async def do() -> None:
            happens()

        asyncio.run_coroutine_threadsafe(do(), self._loop).result(20)


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Shell]:
    path = tmp_path / "m.sock"
    monkeypatch.setenv("MESSENGER_SOCKET", str(path))
    monkeypatch.setenv("TZ", "UTC")
    with desk_in_a_thread(path) as (desk, loop):
        yield Shell(desk, loop, capsys)


def test_a_board_without_a_messenger_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MESSENGER_SOCKET", str(tmp_path / "none"))
    monkeypatch.setenv("MANAGER_SOCKET", str(tmp_path / "none"))
    for words in (["contacts"], ["msg", "a", "b"], ["chat", "a"], ["inbox"], ["files"], ["inbox", "--json"]):
        assert run_words(ApiClient(tmp_path), words) == 1
        told = capsys.readouterr()
        assert "no messenger answers at" in told.err + told.out
        assert "Try 'start meshnet-messenger'." in told.err + told.out
        assert "meshnet-messenger run" not in told.err
    for words in (["peers"], ["peer", "31ab"], ["unpeer", "31ab"], ["peers", "accept", "31ab"]):
        assert run_words(ApiClient(tmp_path), words) == 1
        told = capsys.readouterr()
        assert "no manager answers at" in told.err
        assert "Try 'start manager'." in told.err


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["msg", "alice"], "msg takes whom and what"),
        (["msg", "nobody", "hi"], "nobody is called 'nobody'"),
        (["chat"], "chat takes one name"),
        (["chat", "alice", "--json"], "chat takes one name"),
        (["chat", "nobody"], "nobody is called 'nobody'"),
        (["inbox", "a", "b"], "inbox takes at most one name"),
        (["contacts", "a"], "contacts takes nothing, or a node and the name for it"),
        (["send-file", "alice"], "send-file takes whom and a path"),
        (["send-file", "alice", "/nonexistent"], "cannot read '/nonexistent': No such file or directory"),
        (["files", "eat", "x"], "files takes nothing, or what to do with one"),
        (["files", "accept", "x"], "no file 'x' (see: files)"),
        (["peer"], "peer takes a manager's id"),
        (["peer", "--at"], "peer takes a manager's id"),
        (["peer", "31ab", "--at", "a", "--at", "b"], "peer takes a manager's id"),
        (["peers", "accept"], "peers takes nothing, or"),
        (["peers", "eat", "x"], "peers takes nothing, or"),
        (["unpeer"], "unpeer takes a manager's id"),
    ],
)
def test_mistakes_are_told(shell: Shell, words: list[str], text: str) -> None:
    assert shell.say(*words) == 2
    assert text in shell.err + shell.out


def test_contacts_are_named_and_listed(shell: Shell) -> None:
    assert shell.say("contacts") == 0
    assert shell.out.startswith("no contacts yet: name a node")
    assert shell.say("contacts", ALICE, "alice") == 0
    assert shell.out.splitlines()[1].startswith(f"alice  {ALICE[:12]}  contact")
    assert shell.say("contacts", "--json") == 0
    assert json.loads(shell.out)["contacts"][0]["name"] == "alice"


def test_a_message_and_how_far_it_came(shell: Shell) -> None:
    assert shell.say("msg", "alice", "at", "the door") == 0
    assert shell.out == "it is kept here, and goes as soon as alice can be reached\n"
    shell.desk.delivers = True
    assert shell.say("msg", "alice", "hello") == 0
    assert shell.out == "delivered\n"
    assert [one.text for one in shell.desk.messages] == ["at the door", "hello"]


def test_the_inbox_and_what_is_read(shell: Shell) -> None:
    assert shell.say("inbox") == 0
    assert shell.out == "nothing new (what was said before: inbox WHO)\n"
    shell.there(lambda: shell.desk.write_down("hello", mine=False))
    assert shell.say("inbox") == 0
    assert shell.out.splitlines()[0] == "alice: 1 new"
    assert shell.out.splitlines()[1].endswith(" alice: hello")
    assert shell.say("inbox", "alice") == 0
    assert shell.out.endswith(" alice: hello\n")
    assert shell.desk.messages[0].state == "read"
    assert shell.say("inbox", "--json") == 0
    assert json.loads(shell.out)["unread"] == []


def test_a_file_goes_and_one_is_saved(shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = os.urandom(300_000)
    (tmp_path / "a.bin").write_bytes(data)
    assert shell.say("send-file", "alice", str(tmp_path / "a.bin")) == 0
    assert shell.out == "offered as a.bin: it goes when it is accepted there (see: files)\n"
    assert shell.say("files") == 0
    assert shell.out.splitlines()[1].startswith("a.bin  a.bin  ")
    (tmp_path / "there").mkdir()
    monkeypatch.chdir(tmp_path / "there")
    assert shell.say("files", "save", "a.bin") == 0
    assert (tmp_path / "there" / "a.bin").read_bytes() == data
    assert shell.say("files", "save", "a.bin", "b.bin") == 0
    assert shell.say("files", "save", "a.bin") == 1
    assert "is there already: name another place" in shell.err
    assert shell.say("files", "save", "a.bin", "no/such/place") == 1
    assert "No such file or directory" in shell.err
    assert sorted(path.name for path in (tmp_path / "there").iterdir()) == ["a.bin", "b.bin"]


def test_a_chat_without_a_terminal_sends_its_lines(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("one\n\ntwo\n"))
    assert shell.say("chat", "alice") == 0
    assert [one.text for one in shell.desk.messages] == ["one", "two"]


def test_names_and_files_complete(shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shell.desk.names = {ALICE: "alice", NodeId("b" * 64): "", ME: "two words"}
    shell.desk.groups = [Group("group:" + "c" * 32, "friends", ME, 1, (GroupMember(ME, "me"),))]
    (tmp_path / "place").mkdir()
    (tmp_path / "place" / "photo.jpg").touch()
    monkeypatch.chdir(tmp_path)

    def offers(typed: str) -> list[str]:
        names = Names(ApiClient(tmp_path / "none"))
        return [found.text for found in names.get_completions(Document(typed), CompleteEvent())]

    assert offers("msg ") == ["alice", "b" * 64, "'two words'", "group:friends"]
    assert offers("chat al") == ["alice"]
    assert offers("msg alice ") == []
    assert offers("send-file alice pl") == ["place/"]
    assert offers("send-file alice place/") == ["place/photo.jpg"]
    assert offers("files ") == ["accept", "refuse", "save"]
    assert offers("peers a") == ["accept"]
    assert offers("unpeer ") == []


def test_what_is_given_to_another_cluster_is_read() -> None:
    words = ["31ab", "--export", "vpn", "--at", "h:1", "--export", "socks", "--name", "bee"]
    assert read_terms(words, "") == Terms("31ab", "h:1", ("vpn", "socks"), "bee")
    assert read_terms(["31ab"], "") == Terms("31ab", exports=None)


def test_a_live_chat(shell: Shell, tmp_path: Path) -> None:
    shell.desk.names = {ALICE: "alice"}
    shell.there(lambda: shell.desk.write_down("before", mine=False))
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm", "HOME": str(tmp_path)}
    terminal = Terminal(environment, "-m", "viscript", "chat", "alice")
    try:
        assert "before" in terminal.wait_for("alice is there")
        assert shell.desk.messages[0].state == "read"
        terminal.type("I am at the door\r")
        terminal.wait_for("me: I am at the door")
        shell.there(lambda: shell.desk.change(2, "read"))
        terminal.wait_for("read")
        terminal.type("half a li")
        shell.there(lambda: shell.desk.write_down("wait\x1b]0;x\x07", mine=False))
        assert "\x1b]0;x" not in terminal.wait_for("alice: wait")
        terminal.type("ne\r")
        terminal.wait_for("me: half a line")
        terminal.wait_raw()  # a Ctrl+D between two prompts is the line discipline's, and lost
        terminal.type("\x04")
        assert terminal.wait_end() == 0
    finally:
        terminal.close()
    assert [one.text for one in shell.desk.messages if one.is_mine] == ["I am at the door", "half a line"]
