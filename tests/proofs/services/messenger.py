"""The rows of the messenger, on three boards: what the shell shows, what a second program sees come, and what lies on
the disks and went over the cables while connections, processes and boards end in between.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import signal
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from services.messenger.api_words import (
    AcceptFile,
    Came,
    Files,
    FileState,
    GetFiles,
    GetHistory,
    Message,
    Messages,
    Send,
    Sent,
    Watch,
)
from services.messenger.errors import MessengerError
from services.messenger.line import Line
from services.node.errors import NodeError
from tests.boot.rows import Row
from tests.laboratory.errors import LabError
from tests.mesh import places
from tests.mesh.world import World, run_world

THREE_BOARDS = """
description: three boards, each cabled to the others; the first has the manager
hosts: [a, b, c]
switches: {control: {subnet: 203.0.113.0/24, members: ["*"]}}
cables:
  - {between: [a, b]}
  - {between: [b, c]}
  - {between: [a, c]}
mesh: {links: [10.128.0.0/9]}
"""
APP, PORT = "meshnet-messenger", 4444
SOCKET = "/run/skywire/messenger/messenger.sock"
RESET = f"add table inet cut; add chain inet cut in {{ type filter hook input priority -300; }}; \
add rule inet cut in tcp dport {PORT} reject with tcp reset"
AGAIN_WITHIN_S = 90.0
FILE_BYTES, RATE_BITS = 20_000_000, 60_000_000
TROUBLES = (AssertionError, NodeError, LabError, MessengerError, OSError, ValueError, StopIteration, KeyError)


def rows() -> Iterator[Row]:
    with (
        tempfile.TemporaryDirectory(prefix="skywire-prove-") as scratch,
        run_world(places.read(THREE_BOARDS), Path(scratch, "lab")) as world,
    ):
        boards = Boards(world)
        for claim, look in LOOKS.items():
            yield row(claim, lambda look=look: look(boards.all_up()))  # type: ignore[misc]


def row(claim: str, look: Callable[[], str]) -> Row:
    try:
        return Row(claim, look(), True)
    except TROUBLES as error:
        return Row(claim, f"{type(error).__name__}: {error}", False)


class Boards:
    def __init__(self, world: World) -> None:
        self.world = world
        self._stopped: set[str] = set()
        self._ids = {name: self.start(name) for name in "abc"}
        for name, other in ("ab", "ba"):  # a stranger may send 500 messages
            self.shell(name, "contacts", world.id(other), other)

    # the app

    def all_up(self) -> Boards:
        """Also those that a row before had stopped when it failed."""
        for name in self._stopped.copy():
            self.start_again(name)
        return self

    def start(self, name: str) -> int:
        """By viscript; returns once the messenger answers."""
        said = self.world.host(name).run(["viscript", "start", APP]).stdout
        found = re.search(r"\(ID: (\d+), Command: ", said)
        assert found, said
        self.wait_up(name)
        return int(found[1])

    def stop(self, name: str) -> None:
        self._stopped.add(name)
        self.world.host(name).run(["viscript", "shutdown", str(self._ids[name])])

    def start_again(self, name: str) -> None:
        self._stopped.discard(name)
        self._ids[name] = self.start(name)

    def kill(self, name: str) -> None:
        """-9; viscript starts it anew."""
        for pid in self.world.host(name).pids():
            if b"services.messenger\0run" in Path(f"/proc/{pid}/cmdline").read_bytes():
                os.kill(pid, signal.SIGKILL)

    def wait_up(self, name: str) -> None:
        self.world.wait(lambda: self.answers(name), f"the messenger of '{name}' answers", AGAIN_WITHIN_S)

    def answers(self, name: str) -> bool:
        with contextlib.suppress(MessengerError):
            return self.history(name, limit=1) is not None
        return False

    # what it is asked

    def line(self, name: str) -> Line:
        return Line(self.world.host(name).outside(SOCKET))

    def history(self, name: str, whom: str = "", limit: int = 500) -> tuple[Message, ...]:
        with self.line(name) as line:
            return line.ask(GetHistory(whom, limit=limit), Messages).messages

    def texts(self, name: str, start: str) -> list[str]:
        """Of all messages that begin so, in their order."""
        return [one.text for one in self.history(name) if one.text.startswith(start)]

    def send(self, name: str, whom: str, text: str) -> Message:
        with self.line(name) as line:
            return line.ask(Send(whom, text), Sent).message

    def state(self, name: str, text: str) -> str:
        """Of one's own message with that text."""
        return next(one.state for one in self.history(name) if one.text == text and one.is_mine)

    def wait_state(self, name: str, text: str, *states: str, within_s: float = AGAIN_WITHIN_S) -> float:
        what = f"'{text}' of '{name}' is {' or '.join(states)}"
        return self.world.wait(lambda: self.state(name, text) in states, what, within_s)

    def shell(self, name: str, *words: str) -> str:
        return self.world.host(name).run(["viscript", *words]).stdout.strip()

    def command(self, name: str, *words: str) -> Any:
        return json.loads(self.world.host(name).run([APP, *words, "--json"]).stdout)

    def folder(self, name: str) -> bytes:
        """All that its messenger keeps."""
        kept = self.world.host(name).folder / ".local" / "share" / "skywire" / "messenger"
        return b"".join(path.read_bytes() for path in sorted(kept.rglob("*")) if path.is_file())

    @contextlib.contextmanager
    def watching(self, name: str) -> Iterator[list[str]]:
        """The texts that come, as a second program sees them."""
        came: list[str] = []

        def follow(line: Line) -> None:
            with contextlib.suppress(MessengerError):
                for event in line.watch(Watch()):
                    if isinstance(event, Came):
                        came.append(event.message.text)  # noqa: PERF401 (seen while it grows)

        with self.line(name) as line:
            thread = threading.Thread(target=follow, args=(line,), daemon=True)
            thread.start()
            try:
                yield came
            finally:
                line.close()
                thread.join(20)


# looks


def from_shell_to_shell(boards: Boards) -> str:
    told = boards.shell("a", "msg", "b", "I am at the door")
    seen = boards.shell("b", "inbox").splitlines()
    assert seen[0].endswith(": 1 new"), seen
    assert seen[1].endswith(": I am at the door"), seen
    boards.shell("b", "inbox", "a")
    boards.wait_state("a", "I am at the door", "read")
    shown = boards.shell("a", "inbox", "b").splitlines()[-1].split()
    return f"a: msg b … -> {told}; b: inbox -> {' / '.join(seen)}; then at a: {' '.join(shown)}"


def once_though_cut(boards: Boards) -> str:
    """Its TCP connection is reset while messages flow, and both cables are out for a second."""
    texts = [f"cut {number}" for number in range(600)]
    host = boards.world.host("b")
    cables = [boards.world.lab.cable("a", other) for other in "bc"]
    sending = threading.Thread(target=_send_all, args=(boards, "a", "b", texts), daemon=True)
    with boards.watching("b") as came:
        sending.start()
        for _ in range(6):
            time.sleep(0.15)
            host.run(["nft", RESET])
            time.sleep(0.05)
            host.run(["nft", "delete table inet cut"])
        for cable in cables:
            cable.down()
        time.sleep(1)
        for cable in cables:
            cable.up()
        sending.join(60)
        boards.world.wait(lambda: set(texts) <= set(came), "all have come", AGAIN_WITHIN_S)
        time.sleep(1)  # for those that would come twice
    twice = [text for text, count in Counter(came).items() if count > 1]
    assert came == texts, f"twice: {twice}, out of order: {came != sorted(came, key=texts.index)}"
    return f"6 resets and a second without cables while {len(texts)} messages went: each came once, in order"


def _send_all(boards: Boards, name: str, whom: str, texts: list[str]) -> None:
    with boards.line(name) as line:
        for text in texts:
            line.ask(Send(whom, text), Sent)
            time.sleep(0.002)


def kept_while_away(boards: Boards) -> str:
    boards.stop("b")
    told = boards.shell("a", "msg", "b", "when you are back")
    assert boards.state("a", "when you are back") == "waiting"
    boards.stop("a")
    boards.start_again("a")
    boards.start_again("b")
    took = boards.wait_state("a", "when you are back", "delivered")
    assert boards.texts("b", "when you") == ["when you are back"]
    return f"b away: '{told}'; a restarted, b is back: there after {took:.1f} s"


def mailbox(boards: Boards) -> str:
    secret = "the key is under the stone"
    boards.command("c", "mailbox", "offer", "b")
    boards.command("b", "mailbox", "ask", "c")
    boards.world.wait(lambda: all(one["is_agreed"] for one in boards.command("b", "mailbox")["mine"]), "c agrees")
    boards.send("b", "a", "I have a mailbox")  # told to those it writes with, before that
    boards.wait_state("b", "I have a mailbox", "delivered")
    boards.stop("b")
    boards.send("a", "b", secret)
    boards.wait_state("a", secret, "boxed")
    kept = boards.command("c", "mailbox")["kept"][0]
    assert (kept["node_id"], kept["items"]) == (boards.world.id("b"), 1), kept
    held, sender = boards.folder("c"), boards.world.id("a")
    assert secret.encode() not in held, "the text is on c's disk"
    knows_sender = sender.encode() in held or bytes.fromhex(sender) in held
    boards.stop("a")
    boards.start_again("b")
    took = boards.world.wait(lambda: boards.texts("b", secret) == [secret], "b has it", AGAIN_WITHIN_S)
    boards.start_again("a")
    boards.wait_state("a", secret, "delivered")
    id_there = "" if knows_sender else " not"
    return (
        f"b away: c keeps {kept['bytes']} bytes for b; the text is not on c's disk, a's id is{id_there} "
        f"(c sees who brings it); a away, b back: b has it after {took:.1f} s; a back: told that it is there"
    )


def file_resumed(boards: Boards) -> str:
    """Both ends are killed while it moves."""
    data = os.urandom(FILE_BYTES)
    a, b = boards.world.host("a"), boards.world.host("b")
    (a.folder / "big.bin").write_bytes(data)
    for left, right in ("ab", "ac", "bc"):
        boards.world.lab.cable(left, right).rate(RATE_BITS)
    boards.shell("a", "send-file", "b", "big.bin")
    boards.world.wait(lambda: boards.command("b", "files")["files"], "the file is offered")
    file_id = boards.command("b", "files")["files"][0]["id"]
    before = _received(boards, "b")
    with boards.line("b") as line:
        line.ask(AcceptFile(file_id), Files)
    killed = []
    for name, share in (("b", 0.25), ("a", 0.55)):
        bytes_there = share * FILE_BYTES
        boards.world.wait(lambda: _is_there(boards, bytes_there), "it moves", pause_s=0.02)  # noqa: B023
        killed.append(f"{name} at {_file(boards).done_bytes / 1e6:.1f} MB")
        boards.kill(name)
    boards.world.wait(lambda: _file(boards).stage == "done", "the file is there", AGAIN_WITHIN_S, 0.2)
    over_cables = _received(boards, "b") - before
    boards.shell("b", "files", "save", file_id[:8], "got.bin")
    assert hashlib.sha256((b.folder / "got.bin").read_bytes()).digest() == hashlib.sha256(data).digest()
    assert over_cables < 1.25 * FILE_BYTES, f"{over_cables} bytes over b's cables"
    for left, right in ("ab", "ac", "bc"):
        boards.world.lab.cable(left, right).rate(0)
    return (
        f"{FILE_BYTES / 1e6:.0f} MB, killed -9: {', '.join(killed)}; the same SHA-256 there; "
        f"{over_cables / 1e6:.1f} MB over b's cables in all"
    )


def _file(boards: Boards) -> FileState:
    boards.wait_up("b")
    with boards.line("b") as line:
        return line.ask(GetFiles(), Files).files[0]


def _is_there(boards: Boards, size: float) -> bool:
    return _file(boards).done_bytes > size


def _received(boards: Boards, name: str) -> int:
    """Bytes that came over its cables, as its kernel counts them."""
    host = boards.world.host(name)
    devices = [f"/sys/class/net/{port.device}/statistics/rx_bytes" for port in host.node.ports]
    return sum(map(int, host.run(["cat", *devices]).stdout.split()))


def killed_while_acknowledging(boards: Boards) -> str:
    """Sender and receiver, three times each, while messages are sent as fast as they are acknowledged."""
    kept: list[str] = []
    for turn in range(6):
        kept += _send_until_killed(boards, turn, "ab"[turn % 2])
    boards.wait_up("a")
    boards.wait_up("b")
    boards.world.wait(lambda: set(kept) <= set(_all_texts(boards, "b", "kill ")), "all are there", AGAIN_WITHIN_S, 0.5)
    there = _all_texts(boards, "b", "kill ")
    lost = set(kept) - set(_all_texts(boards, "a", "kill "))
    twice = [text for text, count in Counter(there).items() if count > 1]
    assert not lost, f"lost: {sorted(lost)[:5]}"
    assert not twice, f"twice: {twice[:5]}"
    return f"6 times kill -9 while sending: {len(kept)} acknowledged; all are in a's store and once at b ({len(there)})"


def _send_until_killed(boards: Boards, turn: int, victim: str) -> list[str]:
    acknowledged: list[str] = []
    boards.wait_up("a")
    boards.wait_up("b")
    threading.Timer(0.4 + 0.07 * turn, boards.kill, [victim]).start()
    end = time.monotonic() + 1.0
    with contextlib.suppress(MessengerError), boards.line("a") as line:
        while time.monotonic() < end:
            text = f"kill {turn}.{len(acknowledged)}"
            line.ask(Send("b", text), Sent)
            acknowledged.append(text)
    return acknowledged


def _all_texts(boards: Boards, name: str, start: str) -> list[str]:
    found: list[str] = []
    since: int | None = 0
    with boards.line(name) as line:
        while since is not None:
            part = line.ask(GetHistory(since=since, limit=500), Messages)
            found += [one.text for one in part.messages if one.text.startswith(start)]
            since = part.messages[-1].number if part.messages else None
    return found


def group(boards: Boards) -> str:
    boards.command("a", "groups", "make", "friends", "b", "c")
    boards.command("a", "msg", "--wait", "20", "group:friends", "to all of you")
    for name in "bc":
        assert boards.texts(name, "to all") == ["to all of you"]
    boards.command("a", "groups", "remove", "group:friends", "b")
    boards.command("a", "msg", "--wait", "20", "group:friends", "to those left")
    assert boards.texts("c", "to those") == ["to those left"]
    assert boards.texts("b", "to those") == []
    refused = boards.world.host("b").run([APP, "msg", "group:friends", "I am still here"], check=False)
    assert refused.returncode != 0, refused.stdout
    return f"both got what was said to all; b, removed, got no more, and may not write: {refused.stderr.strip()}"


def search(boards: Boards) -> str:
    begin = time.monotonic()
    found = boards.command("b", "search", "stone", "under")["messages"]
    took = time.monotonic() - begin
    assert [one["text"] for one in found] == ["the key is under the stone"], found
    return f"one of {boards.command('b', 'status')['messages']} messages, program and all in {took:.2f} s"


LOOKS = {
    "what is written in one board's shell is read in another's, and told as read": from_shell_to_shell,
    "a message comes once and in order, though connections are reset and cables out": once_though_cut,
    "to a board that is away: kept, also over a restart, and there when it is back": kept_while_away,
    "a mailbox on a third board bridges two that never meet, and cannot read what it keeps": mailbox,
    "a file goes on where it stopped, both ends killed in between": file_resumed,
    "kill -9 loses nothing that was acknowledged, and nothing is there twice": killed_while_acknowledging,
    "a group's members all get a message, who was removed gets none": group,
    "old messages are found by their words": search,
}
