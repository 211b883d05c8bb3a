"""Two boards as two daemons on a network: who commands, who is refused, and what happens when the cable is out."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import pytest

from tests.viscript.cluster.rack import ADDRESSES, NEEDS_NETWORK, PORT, Board, Rack, run_rack
from tests.viscript.launcher.backends import wait_until
from viscript.api.client import RefusedError
from viscript.api.model import (
    MAX_WAIT_S,
    NODE_AWAY,
    AskStatus,
    Channels,
    Deploy,
    ListChannels,
    ListNodes,
    ListRunning,
    NodeReplies,
    NodeReply,
    Nodes,
    OnNodes,
    ReadLog,
    Request,
    RunningApp,
    RunningApps,
    Shutdown,
    Start,
    Status,
)
from viscript.launcher.model import App

pytestmark = NEEDS_NETWORK
DEADLINE_S = 5.0
SLACK_S = 10.0


@pytest.fixture
def rack(tmp_path: Path) -> Iterator[Rack]:
    with run_rack(tmp_path) as made:
        yield made


def on(board: Board, request: Request, *names: str) -> tuple[NodeReply, ...]:
    with board.api() as api:
        return api.call(OnNodes(names, msgspec.Raw(msgspec.json.encode(request))), NodeReplies).replies


def codes(replies: tuple[NodeReply, ...]) -> dict[str, str]:
    return {reply.node: reply.error.code if reply.error else "" for reply in replies}


def running(board: Board) -> list[str]:
    with board.api() as api:
        return [app.app for app in api.call(ListRunning(), RunningApps).apps]


def sent_by(board: Board) -> int:
    with board.api() as api:
        return api.call(ListChannels(), Channels).channels[0].sent_bytes


def test_an_operator_commands_the_other_board(rack: Rack) -> None:
    replies = on(rack.operator, AskStatus())
    assert codes(replies) == {"pi-1": "", "pi-2": ""}
    assert [msgspec.json.decode(reply.result, type=Status).pid for reply in replies] == [
        rack.operator.pid,
        rack.other.pid,
    ]
    (started,) = on(rack.operator, Start("apptracker"), "pi-2")
    app = msgspec.json.decode(started.result, type=RunningApp)
    with rack.other.api() as api:
        assert [running.id for running in api.call(ListRunning(), RunningApps).apps] == [app.id]
    (stopped,) = on(rack.operator, Shutdown(app.id), "pi-2")
    assert stopped.error is None


def test_nodes_and_channels_of_the_operator(rack: Rack) -> None:
    with rack.operator.api() as api:
        here, other = api.call(ListNodes(), Nodes).nodes
        (channel,) = api.call(ListChannels(), Channels).channels
    assert (here.name, other.name) == ("pi-1", "pi-2")
    assert other.status is not None
    assert other.status.pid == rack.other.pid
    assert other.rtt_s is not None
    assert 0 < other.rtt_s < DEADLINE_S
    assert (channel.node, channel.address) == ("pi-2", f"[{ADDRESSES['pi-2']}]:{PORT}")
    assert min(channel.sent_bytes, channel.received_bytes) > 0


def test_who_is_no_operator_commands_nobody(rack: Rack) -> None:
    replies = on(rack.other, AskStatus())
    assert codes(replies) == {"pi-1": NODE_AWAY, "pi-2": ""}, "pi-1 has no operators and does not even listen"


def test_a_stranger_on_the_same_network_is_refused_by_name(rack: Rack) -> None:
    (rack.operator.directory / "cluster.yaml").write_text(
        f'name: pi-1\nlisten: "[{ADDRESSES["pi-1"]}]:{PORT}"\noperators: ["fd53::99"]\n'
    )
    rack.operator.stop()
    rack.operator.start()
    replies = on(rack.other, AskStatus(), "pi-1")
    assert replies[0].error is not None
    assert replies[0].error.code == "refused"
    assert f"{ADDRESSES['pi-2']} may not command board 'pi-1'" in replies[0].error.text
    assert "refused" in rack.operator.log.read_text()


def test_nothing_is_forwarded_twice(rack: Rack) -> None:
    with pytest.raises(RefusedError) as caught:
        on(rack.operator, OnNodes((), msgspec.Raw(b'{"do":"status"}')), "pi-2")
    assert caught.value.code == "not-forwarded"


def test_a_dead_board_is_named_and_delays_nobody(rack: Rack) -> None:
    assert codes(on(rack.operator, AskStatus())) == {"pi-1": "", "pi-2": ""}
    rack.set_link("pi-2", "down")
    for _ in range(2):  # on the connection that was kept, and without one
        begun = time.monotonic()
        assert codes(on(rack.operator, AskStatus())) == {"pi-1": "", "pi-2": NODE_AWAY}
        assert time.monotonic() - begun < DEADLINE_S + SLACK_S
    rack.set_link("pi-2", "up")
    wait_until(lambda: codes(on(rack.operator, AskStatus())) == {"pi-1": "", "pi-2": ""}, 40)


def test_a_board_that_dies_under_a_long_call_is_noticed_before_its_deadline(rack: Rack) -> None:
    app = msgspec.json.decode(on(rack.operator, Start("deaf"), "pi-2")[0].result, type=RunningApp)
    sent_bytes, begun = sent_by(rack.operator), time.monotonic()
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(on, rack.operator, ReadLog(app.id, offset=0, wait_s=MAX_WAIT_S), "pi-2")
        wait_until(lambda: sent_by(rack.operator) > sent_bytes)
        assert codes(on(rack.operator, AskStatus(), "pi-2")) == {"pi-2": ""}  # so the long call has arrived too
        rack.set_link("pi-2", "down")
        assert codes(waiting.result()) == {"pi-2": NODE_AWAY}
    assert time.monotonic() - begun < MAX_WAIT_S


def test_a_board_that_hangs_is_named_and_found_again(rack: Rack) -> None:
    os.kill(rack.other.pid, signal.SIGSTOP)
    try:
        begun = time.monotonic()
        assert codes(on(rack.operator, AskStatus())) == {"pi-1": "", "pi-2": NODE_AWAY}
        assert time.monotonic() - begun < DEADLINE_S + SLACK_S
    finally:
        os.kill(rack.other.pid, signal.SIGCONT)
    wait_until(lambda: codes(on(rack.operator, AskStatus())) == {"pi-1": "", "pi-2": ""}, 40)


def test_a_board_whose_viscript_was_started_anew_is_found_at_once(rack: Rack) -> None:
    assert codes(on(rack.operator, AskStatus()))["pi-2"] == ""
    rack.other.stop()
    rack.other.start()
    assert codes(on(rack.operator, AskStatus()))["pi-2"] == ""


def test_deploy_reaches_the_other_board_and_outlasts_its_daemon(rack: Rack) -> None:
    entry = App("lasting", "bin/deaf", daemon=True, autostart=True, stop_timeout_s=0.3)
    (reply,) = on(rack.operator, Deploy("lasting", entry), "pi-2")
    assert reply.error is None
    app = msgspec.json.decode(reply.result, type=RunningApp)
    assert app.app == "lasting"
    on(rack.operator, Shutdown(app.id), "pi-2")
    rack.other.stop()
    rack.other.start()
    wait_until(lambda: "lasting" in running(rack.other))


def test_the_shell_commands_both(rack: Rack) -> None:
    shown = rack.operator.say("nodes")
    assert "pi-1" in shown
    assert "pi-2" in shown
    assert rack.operator.say("on", "pi-2", "start", "apptracker").startswith("Added external app (ID: 2")
    assert rack.operator.say("ping", "pi-2/2").startswith("ping time ")
    asked_wrongly = rack.operator.shell("on", "pi-9", "status")
    assert "No board 'pi-9'" in asked_wrongly.stderr
    assert asked_wrongly.returncode == 2
