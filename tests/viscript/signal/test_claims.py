"""Who may be an id: UNIX peers, second claims, and programs that come back before their old connection is dead."""

import asyncio
import signal as process_signals
import stat
from pathlib import Path

import pytest

from tests.viscript.signal.ends import ACK_1, REG_7, expect_closed, run_with_server
from tests.viscript.signal.test_extensions import run_member
from viscript.signal import SignalClient, SignalServer
from viscript.signal.errors import NotConnectedError, UnansweredError
from viscript.signal.model import Address, Peer
from viscript.signal.settings import Settings, make_environment, read_settings


def test_a_unix_socket_tells_who_connected(tmp_path: Path) -> None:
    path = tmp_path / "signal"
    seen = list[Peer]()

    def owner(peer: Peer, _: int) -> bool:
        seen.append(peer)
        return True

    async def work(server: SignalServer, address: Address) -> None:
        await server.start_unix(path)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        async with run_member(server, Address("127.0.0.1", 1), SIGNAL_SERVER_SOCKET=str(path)) as child:
            assert [peer.pid for peer in seen] == [child.pid]
            assert await server.ping(5) < 5
        async with SignalClient(Settings(True, address, 7)):
            await server.wait_connected(7, 20)
            assert seen[-1].pid is None
            assert seen[-1].host == "127.0.0.1"

    run_with_server(work, owner)
    assert not path.exists()


def test_a_socket_left_by_a_former_server_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "signal"

    async def main() -> None:
        first, second = SignalServer(), SignalServer()
        await first.start_unix(path)
        await second.start_unix(path, 0o666)
        assert stat.S_IMODE(path.stat().st_mode) == 0o666
        await first.close()
        async with SignalClient(Settings(True, Address("127.0.0.1", 1), 3, path)):
            await second.wait_connected(3, 20)
        await second.close()
        with pytest.raises(OSError, match="No such file"):
            await first.start_unix(tmp_path / "no" / "folder")

    asyncio.run(main(), debug=True)
    assert list(tmp_path.iterdir()) == []


def test_the_environment_may_name_a_socket() -> None:
    address, path = Address("127.0.0.1", 7999), Path("/run/signal")
    assert read_settings(make_environment(address, 4, path)) == Settings(True, address, 4, path)
    assert read_settings({"SIGNAL_EXTENSIONS": "false"}).extensions is False


def test_an_owner_check_that_fails_is_a_no(caplog: pytest.LogCaptureFixture) -> None:
    def owner(_peer: Peer, _id: int) -> bool:
        raise OSError("the kernel is silent")

    async def work(server: SignalServer, address: Address) -> None:
        await expect_closed(address, REG_7)
        assert server.connected() == frozenset()
        assert "the kernel is silent" in caplog.text
        assert "does not belong" in caplog.text

    run_with_server(work, owner)


def test_a_second_claim_is_refused_while_the_first_answers(caplog: pytest.LogCaptureFixture) -> None:
    async def work(server: SignalServer, address: Address) -> None:
        async with run_member(server, address) as child:
            heard = await asyncio.gather(*(expect_closed(address, REG_7.replace(b"7", b"5")) for _ in range(100)))
            assert set(heard) <= {ACK_1, b""}
            assert (await server.report(5, 20)).usage.pid == child.pid
        assert caplog.text.count("id 5 is live already") == 100

    run_with_server(work)


def test_a_restarted_program_does_not_wait_for_its_stopped_predecessor(caplog: pytest.LogCaptureFixture) -> None:
    async def work(server: SignalServer, address: Address) -> None:
        async with run_member(server, address) as old:
            old.send_signal(process_signals.SIGSTOP)
            async with run_member(server, address) as new:
                # The second one is only let in once the first has not answered.
                assert await wait_for_pid(server) == new.pid
                assert "its id 5 went to" in caplog.text

    run_with_server(work)


@pytest.mark.parametrize("kind", ["tcp", "unix"])
def test_a_connection_that_outlives_its_program_does_not_keep_the_id(kind: str, tmp_path: Path) -> None:
    """The program dies, but a child of its holds the connection open and answers nothing."""

    async def work(server: SignalServer, address: Address) -> None:
        path = tmp_path / "signal"
        await server.start_unix(path)
        socket = str(path) if kind == "unix" else ""
        async with run_member(server, address, SIGNAL_SERVER_SOCKET=socket) as old:
            with pytest.raises(UnansweredError):
                await server.command(5, "orphan", (), 2)
            assert await old.wait() == -process_signals.SIGKILL
            assert server.connected() == {5}
            async with run_member(server, address, SIGNAL_SERVER_SOCKET=socket) as new:
                assert await wait_for_pid(server) == new.pid

    run_with_server(work)


def test_a_killed_program_leaves_its_id_at_once() -> None:
    async def work(server: SignalServer, address: Address) -> None:
        async with run_member(server, address) as old:
            old.kill()
            await old.wait()
            async with run_member(server, address) as new:
                assert (await server.report(5, 20)).usage.pid == new.pid

    run_with_server(work)


async def wait_for_pid(server: SignalServer) -> int:
    """The process that holds id 5, as soon as one answers."""
    while True:
        try:
            return (await server.report(5, 20)).usage.pid
        except (UnansweredError, NotConnectedError):
            await server.wait_connected(5, 20)
