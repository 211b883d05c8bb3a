"""A pairing's socket, asked by the client that the shell uses; and the shell where no pairing goes on."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from services.pairing.api import Api
from services.pairing.api_words import Cancel, Confirm
from services.pairing.client import Line, PairingAwayError
from services.pairing.model import Part, Shown, Stage
from viscript.errors import ServiceAwayError, UsageError
from viscript.shell.commands import find_command
from viscript.shell.model import Talk

Test = Callable[[Api, list[str]], Awaitable[None]]
COMPARING = Shown(Stage.COMPARING, "code 2431", "2431", "two", Part.MANAGER, ("two",))


def run(path: Path, test: Test) -> None:
    async def bounded() -> None:
        asked: list[str] = []
        api = Api(path, (), lambda: asked.append("confirm"), lambda: asked.append("cancel"))
        await api.start()
        try:
            async with asyncio.timeout(30):
                await test(api, asked)
        finally:
            await api.close()

    asyncio.run(bounded())


def test_who_watches_is_told_each_change_until_the_end(tmp_path: Path) -> None:
    async def test(api: Api, _: list[str]) -> None:
        with Line(tmp_path / "x.sock") as line:
            line.watch()
            seen = [await asyncio.to_thread(line.shown, 5)]
            await api.show(COMPARING)
            seen.append(await asyncio.to_thread(line.shown, 5))
            await api.show(Shown(Stage.CONFIRMED, "joined"))
            seen.append(await asyncio.to_thread(line.shown, 5))
            assert [one.stage for one in seen] == ["looking", "comparing", "confirmed"]
            assert (seen[1].code, seen[1].part, seen[1].candidates) == ("2431", "manager", ("two",))
            assert [one.is_over for one in seen] == [False, False, True]

    run(tmp_path / "x.sock", test)


def test_it_is_confirmed_and_cancelled(tmp_path: Path) -> None:
    async def test(_: Api, asked: list[str]) -> None:
        for request in (Confirm(), Cancel()):
            with Line(tmp_path / "x.sock") as line:
                await asyncio.to_thread(line.ask, request)
        assert asked == ["confirm", "cancel"]

    run(tmp_path / "x.sock", test)


@pytest.mark.parametrize("data", [b"nonsense\n", b'{"do":"admit"}\n', b"\xff\n", b"x" * 5000])
def test_nonsense_is_refused_and_asks_for_nothing(tmp_path: Path, data: bytes) -> None:
    async def test(_: Api, asked: list[str]) -> None:
        reader, writer = await asyncio.open_unix_connection(tmp_path / "x.sock")
        writer.write(data)
        assert b'"refused"' in await reader.read(4096)
        writer.close()
        assert asked == []

    run(tmp_path / "x.sock", test)


@pytest.mark.skipif(os.geteuid() != 0, reason="takes another user's identity: run as root")
def test_a_stranger_on_the_board_is_refused(tmp_path: Path) -> None:
    async def test(_: Api, asked: list[str]) -> None:
        for folder in (tmp_path, *tmp_path.parents):
            if folder != Path("/"):
                folder.chmod(folder.stat().st_mode | 0o055)
        program = (
            "import os, socket, sys; os.setgid(65534); os.setuid(65534); s = socket.socket(socket.AF_UNIX); "
            's.connect(sys.argv[1]); s.sendall(b\'{"do":"confirm"}\\n\'); print(s.recv(4096).decode())'
        )
        words = [sys.executable, "-c", program, str(tmp_path / "x.sock")]
        done = await asyncio.to_thread(subprocess.run, words, capture_output=True, text=True, timeout=20, check=False)
        assert "those who log in on this board" in done.stdout, done.stderr
        assert asked == []

    run(tmp_path / "x.sock", test)


def test_without_a_pairing_there_is_nobody_to_ask(tmp_path: Path) -> None:
    with pytest.raises(PairingAwayError, match="no pairing goes on"):
        Line(tmp_path / "x.sock")


class Nobody:
    """The daemon, which `pair` does not need."""


@pytest.mark.parametrize(
    ("words", "error", "said"),
    [
        (["now"], UsageError, "'confirm'"),
        (["confirm"], ServiceAwayError, "no pairing goes on"),
        (["status"], ServiceAwayError, "no pairing goes on"),
        ([], ServiceAwayError, "manager invite"),
    ],
)
def test_the_shell_says_why_not(words: list[str], error: type[Exception], said: str) -> None:
    command = find_command("pair")
    assert command.talk is not None
    with pytest.raises(error, match=said):
        command.talk(Talk(Nobody()), words)  # type: ignore[arg-type]
