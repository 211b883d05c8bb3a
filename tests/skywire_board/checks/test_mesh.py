"""Whether the mesh works, as a node says it, and each way of not saying it."""

import asyncio
from contextlib import suppress
from pathlib import Path

import msgspec
import pytest

from skywire_board.checks.mesh import REFUSED, REQUEST, check_mesh
from skywire_board.model import Finding, Mesh


def ask(path: Path, answer: bytes | None) -> Finding:
    """What the check says of a node that answers so; None never answers."""
    heard: list[bytes] = []
    served = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.readline())
        if answer is None:
            await reader.read()
        else:
            writer.write(answer)
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()
        served.set()

    async def both() -> Finding:
        async with await asyncio.start_unix_server(serve, str(path)):
            found = await check_mesh(path, deadline_s=0.3)
            await served.wait()
            return found

    found = asyncio.run(both())
    assert heard == [REQUEST]
    return found


def test_a_node_says_whether_it_works(tmp_path: Path) -> None:
    assert ask(tmp_path / "s", b'{"is":"status","works":true,"summary":"works: manager 1 ms"}\n') == Finding(
        None, Mesh(answers=True, works=True, text="works: manager 1 ms")
    )
    found = ask(tmp_path / "s", b'{"is":"status","works":false,"summary":"NOT working: no answer"}\n')
    assert found == Finding(None, Mesh(answers=True, works=False, text="NOT working: no answer"))


def test_a_refusal_is_a_fault_of_its_own(tmp_path: Path) -> None:
    """In the words of the manager's own wire, which neither package may import of the other."""
    wire = (Path(__file__).parents[3] / "services/manager/admission.py").read_text()
    assert f'JoinError(f"{REFUSED}' in wire
    why = f"NOT working: manager at '192.0.2.1:7997': {REFUSED}'the token is used up'"
    found = ask(tmp_path / "s", msgspec.json.encode({"is": "status", "works": False, "summary": why}) + b"\n")
    assert found.trouble is not None
    assert (found.trouble.blinks, found.trouble.text) == (7, "'the token is used up'")


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (None, "node-hung"),
        (b"", "node-absent"),
        (b"hello\n", "node-hung"),
        (b'{"is":"refused","why":"no"}\n', "node-hung"),
        (b"[1]\n", "node-hung"),
        (b"x" * 100_000 + b"\n", "node-hung"),
    ],
)
def test_a_silent_node_is_a_trouble_and_a_fact(tmp_path: Path, answer: bytes | None, code: str) -> None:
    found = ask(tmp_path / "s", answer)
    assert found.trouble is not None
    assert found.trouble.code == code
    assert isinstance(found.fact, Mesh)
    assert (found.fact.answers, found.fact.works) == (False, False)


def test_nobody_listens(tmp_path: Path) -> None:
    found = asyncio.run(check_mesh(tmp_path / "none"))
    assert found.trouble is not None
    assert found.trouble.code == "node-absent"
