"""The health checks against real sockets and files, each kind of bad answer told apart."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

import pytest

from skywire_board.checks.data import check_data
from skywire_board.checks.viscript import check_viscript
from skywire_board.model import Severity, Trouble

Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
STATUS = b'{"id":1,"result":{"version":"0.1","pid":5,"uptime_s":1.5,"apps":1,"running":0}}\n'


def ask(path: Path, answer: bytes | None, heard: list[bytes] | None = None) -> Trouble | None:
    """What the check says of a server that answers one line with `answer`; None never answers."""

    served = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = await reader.readline()
        if heard is not None:
            heard.append(line)
        if answer is not None:
            writer.write(answer)
        else:
            await reader.read()
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()
        served.set()

    async def both() -> Trouble | None:
        async with await asyncio.start_unix_server(serve, str(path)):
            trouble = await check_viscript(path, deadline_s=0.5)
            await served.wait()
            return trouble

    return asyncio.run(both())


def test_a_status_is_well(tmp_path: Path) -> None:
    heard: list[bytes] = []
    assert ask(tmp_path / "s", STATUS, heard) is None
    assert heard == [b'{"id":1,"request":{"do":"status"}}\n']


@pytest.mark.parametrize(
    ("answer", "code", "text"),
    [
        (None, "viscript-hung", "no answer within"),
        (b"", "viscript-absent", "closed without an answer"),
        (b"hello\n", "viscript-hung", "the answer is no status: b'hello"),
        (b'{"id":1,"error":{"code":"x","text":"y"}}\n', "viscript-hung", "the answer is no status"),
        (b'{"id":1,"result":{"trouble":"no config"}}\n', "viscript-troubled", "no config"),
        (b"x" * 100_000 + b"\n", "viscript-hung", "the answer is no line"),
    ],
)
def test_bad_answers_are_told_apart(tmp_path: Path, answer: bytes | None, code: str, text: str) -> None:
    trouble = ask(tmp_path / "s", answer)
    assert trouble is not None
    assert trouble.code == code
    assert text in trouble.text
    assert trouble.severity is Severity.WARN


def test_nobody_listens(tmp_path: Path) -> None:
    trouble = asyncio.run(check_viscript(tmp_path / "none"))
    assert trouble is not None
    assert (trouble.code, trouble.text) == (
        "viscript-absent",
        f"cannot reach '{tmp_path / 'none'}': No such file or directory",
    )


def test_data_fault_file(tmp_path: Path) -> None:
    path = tmp_path / "data-fault"
    assert check_data(path) is None
    path.write_text("no ext4 on /dev/mmcblk0p4\nmore\n")
    trouble = check_data(path)
    assert trouble is not None
    assert (trouble.code, trouble.severity, trouble.blinks) == ("data-fault", Severity.FAULT, 3)
    assert trouble.text == "running in RAM, nothing is kept: no ext4 on /dev/mmcblk0p4"
