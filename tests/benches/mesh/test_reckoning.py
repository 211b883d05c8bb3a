"""What the mesh bench reads and reckons: output of programs, counters, ratios and percentiles."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from services.kernel.model import FIRST_VNI, AllowedIp, Element, Peer, Route, wire_name
from services.kernel.plan import want
from tests.benches.figures import Figure
from tests.benches.mesh import cpu, failover, hops, labels, ours, payload, programs, throughput
from tests.benches.mesh.pump import Flow, parse
from tests.benches.mesh.spread import percentile
from tests.laboratory.errors import CommandError
from tests.laboratory.graphs import Kind, edges
from tests.laboratory.layout import lay_out
from tests.laboratory.model import Cable, Topology


def flow(mbit_s: float, others: float = 0.1) -> Flow:
    return Flow(int(mbit_s * 1e6 / 8), 1.0, cpu.Use(1.0, others))


# what programs say


def test_what_arrived_is_read() -> None:
    said = '{"start": {}, "end": {"sum_sent": {"bytes": 9}, "sum_received": {"bytes": 1000000, "seconds": 2.0}}}'
    assert parse(said).mbit_s == 4.0


@pytest.mark.parametrize("said", ['{"error": "unable to connect"}', '{"end": {"sum_received": {"bytes": 0}}}'])
def test_a_pump_that_failed_is_no_figure(said: str) -> None:
    with pytest.raises(CommandError, match="the pump failed"):
        parse(said)


def test_calls_are_summed() -> None:
    lines = [
        '12 read(3, ""..., 65536) = 4096',
        '12 recvfrom(4, ""..., 262144, 0, NULL, NULL) = 100',
        "12 read(5, 0x7f, 10) = -1 EAGAIN (Resource temporarily unavailable)",
        "13 write(1, <unfinished ...>",
        "13 <... write resumed>) = 5",
        '13 sendto(7, ""..., 20, MSG_DONTWAIT, NULL, 0) = 20 (note)',
        "12 --- SIGCHLD {si_signo=SIGCHLD} ---",
    ]
    assert list(payload.returned(lines)) == [4096, 100, 5, 20]


def test_pings_are_read() -> None:
    said = "64 bytes from fd53::1: icmp_seq=1 ttl=64 time=1.72 ms\n64 bytes from x: icmp_seq=2 ttl=64 time=13 ms\n"
    assert hops.TIME.findall(said) == ["1.72", "13"]


# counters of the kernel


def test_busy_is_neither_idle_nor_waiting_nor_stolen() -> None:
    ticks = cpu.TICKS
    assert cpu.busy_s(f"cpu {ticks} {ticks} {ticks} 7 7 {ticks} {ticks} 7 7 7\ncpu0 9 9 9") == 5.0


def test_a_process_is_counted_with_its_children() -> None:
    fields = ["S", "1", "5", "5", "0", "-1", "0", "0", "0", "0", "0", "10", "20", "30", "40"]
    assert cpu.used_s(fields) == 100 / cpu.TICKS
    assert not cpu.is_kernels(77, fields)
    assert cpu.is_kernels(77, ["S", "2"])


def test_the_work_of_others_is_taken_off() -> None:
    """A stranger's second is not ours; our own is."""
    burn = "import time; end = time.process_time() + 1.0\nwhile time.process_time() < end: pass"
    watch = cpu.Stopwatch([])
    subprocess.run([sys.executable, "-c", "import subprocess, sys; " + burn], check=True)
    mine = watch.read()
    assert mine.seconds > 0.7
    begin = time.process_time()
    while time.process_time() < begin + 0.3:
        pass
    assert cpu.of_processes_s([os.getpid()]) > 0.3


# reckoning


@pytest.mark.parametrize(("percent", "value"), [(50, 50), (99, 99), (100, 100), (1, 1)])
def test_percentiles_are_values_that_occurred(percent: float, value: int) -> None:
    assert percentile(list(range(100, 0, -1)), percent) == value
    assert percentile([7.0], percent) == 7.0


def test_ratios_are_the_median_of_the_rounds() -> None:
    mine = throughput.Lane(throughput.WIRE, "", {1: [flow(200), flow(100), flow(400)], 4: []})
    theirs = throughput.Lane(throughput.BARE, "", {1: [flow(100), flow(100), flow(100)], 4: []})
    figure, work = throughput.ratio(mine, theirs, 1, "≥ 0.9 times", "≤ 0.6 times")
    assert (figure.value, figure.peer, figure.verdict) == (2.0, "3 of 3 rounds; best against best 4.00", "ok")
    assert (work.value, work.verdict) == (0.5, "ok")
    assert throughput.ratio(theirs, mine, 1, "≥ 0.9 times")[0].verdict == "MISSED"


def test_rounds_that_others_disturbed_do_not_count() -> None:
    calm = [(flow(100, others=0.1), flow(100, others=0.2))] * throughput.LEAST_CALM
    disturbed = [(flow(10, others=0.1), flow(100, others=0.6))] * 9
    assert throughput.calm([*disturbed, *calm]) == calm
    assert throughput.calm([*disturbed, *calm[1:]]) == [*disturbed, *calm[1:]]


def test_a_crowded_relay_is_compared_with_one_that_is_not() -> None:
    figure = labels.share("wg", [(flow(100), flow(90)), (flow(100), flow(96)), (flow(100), flow(97))], 10)
    assert figure.value == pytest.approx(96)
    assert figure.verdict == "ok"


def test_gaps_of_all_manners_count() -> None:
    middle, worst = failover.figures({"plug": [0.3, 0.2], "link": [0.1, 2.0]})
    assert (middle.value, middle.verdict) == (0.2, "ok")
    assert (worst.value, worst.verdict) == (2.0, "MISSED")


def test_a_hop_is_half_of_what_two_relays_add() -> None:
    times = {
        (throughput.WIRE, True): [3.0],
        (throughput.DIRECT, False): [1.0],
        (throughput.TINC, True): [5.0],
        (throughput.TINC, False): [2.0],
    }
    (ours_,), (tincs,) = (hops.figures(row, times) for row in (throughput.WIRE, throughput.TINC))
    assert (ours_.value, tincs.value) == (1.0, 1.5)


# what is set up


def test_backports_come_from_the_same_mirror() -> None:
    rows = ["http://m.example/debian/ trixie main", "http://m.example/debian/ trixie-updates main"]
    (line,) = programs.backports(rows, "trixie").splitlines()
    assert line.endswith("http://m.example/debian/ trixie-backports main")


def test_the_path_is_put_in_order_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    folder = programs.cache_folder()
    both = programs.with_unpacked([folder / "newest", folder / "root"], "/usr/bin")
    assert both.startswith(str(folder / "newest"))
    assert "newest" not in programs.with_unpacked([folder / "root"], both)


@pytest.mark.parametrize(("path", "inside"), [(1420, 1328), (1450, 1360), (1408, 1328)])
def test_packets_of_sessions_are_whole_blocks(path: int, inside: int) -> None:
    assert ours.session_mtu(path) == inside


def test_the_data_path_is_what_a_node_would_want(make_chain: Callable[[str], ours.Chain]) -> None:
    for kind in (ours.WIRE, ours.WG):
        chain = make_chain(kind)
        for place in range(4):
            want(chain.facts(place))
        relay = chain.route(1)
        assert sum(isinstance(fact, Element) for fact in relay) == 2
        assert sum(isinstance(fact, Route if kind == ours.WIRE else AllowedIp) for fact in relay) == 2
        assert not [fact for fact in chain.session(1) if isinstance(fact, Peer)]
    assert make_chain(ours.WIRE).device(2, 1) == wire_name(FIRST_VNI + 2)


@pytest.fixture
def make_chain() -> Callable[[str], ours.Chain]:
    names = [f"n-{place}" for place in range(4)]
    cables = tuple(Cable(names[left], names[right]) for left, right in edges(Kind.LINE, 4, 0, 0))
    nodes = lay_out(Topology("", tuple(names), cables=cables)).nodes

    def make(kind: str) -> ours.Chain:
        return ours.Chain([nodes[name] for name in names], kind)

    return make


def test_a_figure_of_ratios_has_a_verdict() -> None:
    assert Figure("x", "≥ 1.3 times", 1.2, "times").verdict == "MISSED"
