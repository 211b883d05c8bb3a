"""The manager's socket: whom it answers, and what it makes of what is none of its words."""

import asyncio
import os
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import msgspec
import pytest

from services.manager import api_words as words
from services.manager.api import Api
from services.manager.client import ask
from services.manager.errors import ManagerAwayError, RefusedError
from tests.services.manager.program.ends import run

ANOTHER_USER = """
import contextlib, socket, sys
end = socket.socket(socket.AF_UNIX)
end.connect(sys.argv[1])
with contextlib.suppress(BrokenPipeError):
    end.sendall(b'{"do":"names"}\\n')
print(end.recv(1000).decode())
"""


async def answer(request: words.Request) -> msgspec.Struct:
    if isinstance(request, words.Expel):
        raise RefusedError(f"not '{request.node_id}'")
    if isinstance(request, words.Pair):
        raise ZeroDivisionError
    return words.Names(())


def test_it_answers_its_own_words_and_survives_others(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "manager.sock"

    async def test() -> None:
        api = Api(answer)
        await api.start(path)
        try:
            assert oct((await asyncio.to_thread(path.stat)).st_mode & 0o777) == "0o660"
            assert await asyncio.to_thread(ask, words.GetNames(), words.Names, path) == words.Names(())
            for request, said in ((words.Expel("x"), "not 'x'"), (words.Pair(1), "made a mistake")):
                with pytest.raises(RefusedError, match=said):
                    await asyncio.to_thread(ask, request, words.Done, path)
            for line in (b"{}\n", b'{"do":"names","more":1}\n', b"\xff\n", b'{"do":"names"}' * 8000):
                assert b'"refused"' in await asyncio.to_thread(say, path, line)
            assert await asyncio.to_thread(ask, words.GetNames(), words.Names, path) == words.Names(())
        finally:
            await api.stop()
        assert not path.exists()
        with pytest.raises(ManagerAwayError, match="manager run"):
            await asyncio.to_thread(ask, words.GetNames(), words.Names, path)

    run(test())


def say(path: Path, data: bytes) -> bytes:
    with socket.socket(socket.AF_UNIX) as end:
        end.settimeout(10)
        end.connect(str(path))
        end.sendall(data)
        return end.recv(65536)


@pytest.mark.skipif(os.geteuid() != 0, reason="becomes another user")
def test_another_user_is_not_answered() -> None:
    async def test(path: Path) -> None:
        api = Api(answer)
        await api.start(path)
        try:
            await asyncio.to_thread(path.chmod, 0o666)
            for _ in range(3):
                told = msgspec.json.decode(await asyncio.to_thread(heard_by, path, 65534), type=words.Refused)
                assert told.why.startswith("this manager answers root, its own user and those")
            assert api.refusals.counts == {"user": 3}
            assert msgspec.json.decode(await asyncio.to_thread(heard_by, path, 0), type=words.Names) == words.Names(())
        finally:
            await api.stop()

    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        run(test(Path(folder, "manager.sock")))


def heard_by(path: Path, user: int) -> str:
    """What that user is answered."""
    program = [sys.executable if user == 0 else "/usr/bin/python3", "-c", ANOTHER_USER, str(path)]
    done = subprocess.run(program, user=user, capture_output=True, text=True, timeout=30, check=True)
    return done.stdout
