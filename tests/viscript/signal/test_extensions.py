"""What extended ends can do for each other, with real programs: reports, log levels, commands, shutdown hooks."""

import asyncio
import contextlib
import logging
import os
import signal as process_signals
import sys
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.viscript.signal.ends import run_with_server
from viscript.signal import SignalClient, SignalServer
from viscript.signal.errors import LocalError, RefusedError, UnansweredError, UnsupportedError
from viscript.signal.model import Address
from viscript.signal.settings import Settings, make_environment

ROOT = Path(__file__).parents[3]


@contextlib.asynccontextmanager
async def run_member(
    server: SignalServer, address: Address, *words: str, **environment: str
) -> AsyncIterator[asyncio.subprocess.Process]:
    """The child of `member`, registered as 5; killed at the end if it has not gone by itself."""
    leash, held = os.pipe()
    child = await asyncio.create_subprocess_exec(
        *[sys.executable, "-m", "tests.viscript.signal.member", *words],
        env={**os.environ, **make_environment(address, 5), **environment, "MEMBER_LEASH": str(leash)},
        cwd=ROOT,
        pass_fds=(leash,),
    )
    os.close(leash)
    try:
        await server.wait_connected(5, 30)
        yield child
    finally:
        with contextlib.suppress(ProcessLookupError):
            child.kill()
        await child.wait()
        os.close(held)


def test_a_program_reports_of_itself() -> None:
    async def work(server: SignalServer, address: Address) -> None:
        async with run_member(server, address) as child:
            assert server.extended(5)
            report = await server.report(5, 20)
            assert report.status == "keeping the light"
            assert report.log_level == "WARNING"
            assert {**report.fields, "calls": 0} == {
                "calls": 0,
                "lamps": 2,
                "lit": True,
                "angle": 1.5,
                "odd": "odd ?",
                "big": str(2**70),
                "endless": "inf",
                "tide": "(ValueError: no such tide)",
                "stuck": "(no answer in 2 s)",
            }
            assert report.commands == ("echo", "fail", "hang", "long", "nothing", "orphan")
            usage = report.usage
            assert usage.pid == child.pid
            assert usage.threads >= 2
            assert usage.cpu_s > 0
            assert 0 < usage.uptime_s < 60
            assert usage.rss > 1_000_000
            assert usage.pss is not None
            assert 0 < usage.pss <= usage.rss * 2
            assert usage.open_files is not None
            assert usage.open_files > 3
            assert usage.bytes_in is not None
            assert usage.bytes_in > 0

    run_with_server(work)


def test_a_hung_handler_costs_its_own_answer_and_nothing_else() -> None:
    async def work(server: SignalServer, address: Address) -> None:
        async with run_member(server, address):
            hung = asyncio.ensure_future(server.command(5, "hang", (), 20))
            slow = asyncio.ensure_future(server.report(5, 20))
            assert await server.ping(5) < 5
            assert await server.command(5, "echo", ("a", "b c")) == "a b c"
            assert (await slow).fields["stuck"] == "(no answer in 2 s)"
            # The stuck field is waited for, not called once more.
            assert (await server.report(5, 20)).fields["calls"] == 1
            assert not hung.done()
            hung.cancel()
            with pytest.raises(UnansweredError, match=r"no answer to COMMAND within 0\.1 s"):
                await server.command(5, "hang", (), 0.1)
            assert await server.command(5, "echo", ("still here",)) == "still here"

    run_with_server(work)


def test_only_so_many_commands_run_at_once() -> None:
    async def work(server: SignalServer, address: Address) -> None:
        async with run_member(server, address):
            hung = [asyncio.ensure_future(server.command(5, "hang", (), 20)) for _ in range(9)]
            (refused,), _ = await asyncio.wait(hung, return_when=asyncio.FIRST_COMPLETED)
            with pytest.raises(RefusedError, match="8 commands are running already"):
                await refused
            assert await server.ping(5) < 5
            for waiting in hung:
                waiting.cancel()

    run_with_server(work)


def test_what_a_program_cannot_do_it_says() -> None:
    async def work(server: SignalServer, address: Address) -> None:
        async with run_member(server, address):
            with pytest.raises(RefusedError, match=r"no command 'dance' .there are: echo, fail, hang"):
                await server.command(5, "dance")
            with pytest.raises(RefusedError, match="ValueError: no such tide"):
                await server.command(5, "fail")
            with pytest.raises(RefusedError, match="TypeError"):
                await server.command(5, "fail", ("too", "many"))
            with pytest.raises(RefusedError, match="no log level 'LOUD'"):
                await server.set_log_level(5, "LOUD")
            with pytest.raises(UnansweredError, match="at most 10240 may be sent"):
                await server.command(5, "echo", ("x" * 20_000,))
            long = await server.command(5, "long")
            assert 1_000 < len(long) < 10_240
            assert long.endswith("…")
            assert await server.command(5, "nothing") == "[]"

    run_with_server(work)


def test_the_log_level_changes_while_it_runs() -> None:
    async def work(server: SignalServer, address: Address) -> None:
        async with run_member(server, address):
            assert await server.set_log_level(5, "debug") == "DEBUG"
            assert (await server.report(5, 20)).log_level == "DEBUG"

    run_with_server(work)


def test_a_shutdown_hook_runs_before_the_end(tmp_path: Path) -> None:
    async def work(server: SignalServer, address: Address) -> None:
        path = tmp_path / "state"
        async with run_member(server, address, str(path)) as child:
            assert await server.shutdown(5) == child.pid
            assert await child.wait() == -process_signals.SIGTERM
            assert path.read_text() == "saved"

    run_with_server(work)


def test_a_shutdown_hook_that_hangs_does_not_keep_the_program(tmp_path: Path) -> None:
    async def work(server: SignalServer, address: Address) -> None:
        async with run_member(server, address, str(tmp_path / "stuck")) as child:
            assert await server.shutdown(5) == child.pid
            assert await server.shutdown(5) == child.pid
            assert await child.wait() == -process_signals.SIGTERM

    run_with_server(work)


def test_an_asyncio_program_runs_its_handlers_where_they_belong() -> None:
    async def work(server: SignalServer, address: Address) -> None:
        released = asyncio.Event()
        main = threading.current_thread()

        async def wait(word: str) -> str:
            await released.wait()
            return f"{word} {threading.current_thread() is main}"

        signal = SignalClient(Settings(True, address, 7))
        signal.add_command("wait", wait)
        signal.add_field("in_main", lambda: threading.current_thread() is main)
        levels = list[str]()
        signal.on_log_level(levels.append)
        saved = asyncio.Event()

        async def save() -> None:
            saved.set()

        signal.on_shutdown(save)
        async with signal:
            await server.wait_connected(7, 20)
            first = asyncio.ensure_future(server.command(7, "wait", ("one",)))
            second = asyncio.ensure_future(server.command(7, "wait", ("two",)))
            assert (await server.report(7)).fields == {"in_main": False}
            released.set()
            assert (await first, await second) == ("one True", "two True")
            assert await server.set_log_level(7, "chatty") == "chatty"
            assert levels == ["chatty"]
            assert logging.getLogger().level != logging.DEBUG
            await server.shutdown(7)
            await signal.wait_shutdown()
            assert saved.is_set()

    run_with_server(work)


@pytest.mark.parametrize("which", ["client", "server"])
def test_an_older_end_is_never_asked_what_it_does_not_know(which: str) -> None:
    async def work(server: SignalServer, address: Address) -> None:
        async with run_member(server, address, SIGNAL_EXTENSIONS="false" if which == "client" else ""):
            assert not server.extended(5)
            for ask in (server.report(5), server.set_log_level(5, "DEBUG"), server.command(5, "echo")):
                with pytest.raises(UnsupportedError, match="program 5 does not know"):
                    await ask
            assert await server.ping(5) < 5
            assert (await server.top(5))["HeapAlloc"]

    if which == "server":
        run_with_server(work, extensions=frozenset())
    else:
        run_with_server(work)


def test_pings_at_once_each_get_their_own_answer() -> None:
    async def work(server: SignalServer, address: Address) -> None:
        async with SignalClient(Settings(True, address, 7)):
            await server.wait_connected(7, 20)
            took = await asyncio.gather(*(server.ping(7) for _ in range(60)), server.top(7), server.report(7))
            assert len(took) == 62

    run_with_server(work)


@pytest.mark.parametrize("name", ["", "two words", "a\nb", "x" * 65, "echo"])
def test_names_are_words_and_not_given_twice(name: str) -> None:
    signal = SignalClient().add_command("echo", str).add_field("echo", str)
    with pytest.raises(LocalError, match="name"):
        signal.add_command(name, str)
    with pytest.raises(LocalError, match="name"):
        signal.add_field(name, str)
