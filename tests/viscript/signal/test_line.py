"""Server and client over loopback: what a program and its server see of each other, and of bad company."""

import asyncio
import os
import subprocess
import sys

import pytest

from tests.viscript.signal.ends import REG_7, expect_closed, run_with_server
from viscript.signal import SignalClient, SignalServer
from viscript.signal.errors import NotConnectedError, UnansweredError
from viscript.signal.model import Address
from viscript.signal.settings import Settings, make_environment, read_settings


def test_a_program_is_a_member_in_one_line() -> None:
    async def work(server: SignalServer, address: Address) -> None:
        async with SignalClient(Settings(True, address, 7)) as signal:
            await server.wait_connected(7, 5)
            assert await server.ping(7) < 5
            assert (await server.top(7))["HeapAlloc"] != 0
            assert await server.shutdown(7) == os.getpid()
            await signal.wait_shutdown()
            assert signal.shutdown.is_set()

    run_with_server(work)


def test_a_program_without_the_variables_stays_alone() -> None:
    async def main() -> None:
        async with SignalClient(read_settings({})) as signal:
            assert not signal.settings.enabled

    asyncio.run(main())


def test_the_environment_names_server_and_id() -> None:
    address = Address("127.0.0.1", 7999)
    assert read_settings(make_environment(address, 4)) == Settings(True, address, 4)
    assert read_settings({"SIGNAL_CLIENT": "false"}).enabled is False
    assert read_settings({"SIGNAL_CLIENT": "1"}) == Settings(True, Address("localhost", 7999), 1)


def test_a_program_comes_back_when_the_server_does() -> None:
    async def main() -> None:
        first = SignalServer()
        address = await first.start("127.0.0.1", 0)
        async with SignalClient(Settings(True, address, 3)):
            await first.wait_connected(3, 5)
            await first.close()
            second = SignalServer()
            await second.start(address.host, address.port)
            await second.wait_connected(3, 10)
            assert await second.ping(3) < 5
            await second.close()

    asyncio.run(main(), debug=True)


def test_a_blocking_program_is_ended_by_sigterm_from_its_thread() -> None:
    program = (
        "import signal, threading\n"
        "from viscript.signal import SignalClient\n"
        "SignalClient().run_in_thread()\n"
        "signal.pause()\n"
    )

    async def work(server: SignalServer, address: Address) -> None:
        environment = {**os.environ, **make_environment(address, 5)}
        child = await asyncio.create_subprocess_exec(sys.executable, "-c", program, env=environment)
        await server.wait_connected(5, 20)
        assert await server.shutdown(5) == child.pid
        assert await child.wait() == -15

    run_with_server(work)


@pytest.mark.parametrize("look", ["signal.shutdown.wait()", "while not signal.shutdown.is_set(): time.sleep(0.01)"])
def test_a_blocking_program_that_looks_ends_in_its_own_time(look: str) -> None:
    program = (
        "import sys, threading, time\n"
        "from viscript.signal import SignalClient\n"
        "signal = SignalClient()\n"
        f"threading.Timer(0.5, signal.run_in_thread).start()  # it looks before it is asked\n{look}\n"
        "time.sleep(0.2)\n"
        "sys.exit(3)\n"
    )

    async def work(server: SignalServer, address: Address) -> None:
        environment = {**os.environ, **make_environment(address, 5)}
        child = await asyncio.create_subprocess_exec(sys.executable, "-c", program, env=environment)
        await server.wait_connected(5, 20)
        assert await server.shutdown(5) == child.pid
        assert await child.wait() == 3

    run_with_server(work)


def test_a_second_claim_to_a_live_id_is_refused(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")

    async def work(server: SignalServer, address: Address) -> None:
        async with SignalClient(Settings(True, address, 7)):
            await server.wait_connected(7, 5)
            await expect_closed(address, REG_7)
            assert await server.ping(7) < 5
        assert "id 7 is live already" in caplog.text

    run_with_server(work)


def test_an_id_is_only_its_owners(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")

    async def work(server: SignalServer, address: Address) -> None:
        await expect_closed(address, REG_7)
        assert server.connected() == frozenset()
        assert "id 7 does not belong to that program" in caplog.text

    run_with_server(work, owner=lambda _peer, client_id: client_id != 7)


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", "unknown frame type"),
        (bytes.fromhex("01 00000001 7fffffff"), "at most 10240"),
        (bytes.fromhex("01 00000001 00000002 00 5b"), "malformed"),
        (REG_7 + bytes.fromhex("81 0000000000000000") * 200, "flood"),
    ],
)
def test_bad_company_is_shown_out_and_nobody_notices(
    sent: bytes, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")

    async def work(server: SignalServer, address: Address) -> None:
        async with SignalClient(Settings(True, address, 2)):
            await server.wait_connected(2, 5)
            await expect_closed(address, sent)
            assert await server.ping(2) < 5
        assert reason in caplog.text

    run_with_server(work)


def test_a_hung_program_does_not_hang_the_question_nor_the_next_answer() -> None:
    async def work(server: SignalServer, address: Address) -> None:
        reader, writer = await asyncio.open_connection(address.host, address.port)
        writer.write(REG_7)
        await server.wait_connected(7, 5)
        with pytest.raises(UnansweredError, match=r"no answer to PING within 0\.1 s"):
            await server.ping(7, 0.1)
        # The late answer belongs to the first question; the second waits for its own.
        second = asyncio.ensure_future(server.ping(7, 5))
        await asyncio.sleep(0)
        writer.write(bytes.fromhex("80 00000001 01 00000002 00000005 81 6e756c6c"))
        await asyncio.sleep(0.1)
        assert not second.done()
        writer.write(bytes.fromhex("01 00000003 00000005 81 6e756c6c"))
        assert await second > 0.1
        writer.close()
        await writer.wait_closed()
        assert await reader.read() != b""

    run_with_server(work)


def test_asking_a_stranger_says_so() -> None:
    async def work(server: SignalServer, address: Address) -> None:
        del address
        with pytest.raises(NotConnectedError, match="program 9 is not connected"):
            await server.ping(9)
        with pytest.raises(NotConnectedError, match="has not registered"):
            await server.wait_connected(9, 0.05)

    run_with_server(work)


def test_an_application_loads_neither_the_server_nor_psutil() -> None:
    program = (
        "import sys, viscript.signal as s; s.SignalClient;"
        "print('psutil' in sys.modules, 'viscript.signal.server' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]
