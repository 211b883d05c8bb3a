"""A hundred real daemons on one machine, each at an address of its own, commanded by the first of them."""

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from os import sysconf
from pathlib import Path

import msgspec

from tests.benches.figures import Figure
from tests.viscript.cluster.rack import PORT, Board, Namespace
from tests.viscript.daemon import ROOT
from viscript.api.model import NodeReplies, OnNodes

BOARDS = 100
AT_ONCE = 4
"""Daemons that start at the same time: each needs most of a second of CPU."""

ROUNDS = 11
IDLE_S = 10.0
ASK_STATUS = OnNodes((), msgspec.Raw(b'{"do":"status"}'))
ADDRESSES = [f"fd53::{number:x}" for number in range(1, BOARDS + 1)]


def bench() -> list[Figure]:
    """Needs root, to make a network namespace."""
    with tempfile.TemporaryDirectory() as directory, run_boards(Path(directory)) as (namespace, boards):
        operator = boards[0]
        memory_before, alone_s = memory_of(operator), idle_cpu_s(operator)
        cold_s = median_of(1, lambda: ask_all(operator))
        warm_s = median_of(ROUNDS, lambda: ask_all(operator))
        shell_s = median_of(5, lambda: ask_all_by_shell(operator))
        per_line = (memory_of(operator) - memory_before) / (BOARDS - 1)
        idle_percent = (idle_cpu_s(operator) - alone_s) / IDLE_S * 100
        in_turn_s, at_once_s = measure_echoes(namespace)
        floor = f"{BOARDS} bare TCP echoes: {at_once_s * 1e3:.1f} ms at once, {in_turn_s * 1e3:.1f} ms in turn"
        all_memory = sum(map(memory_of, boards))
        return [
            Figure(
                f"'viscript on all status', {BOARDS} boards, exec to output", "< 2000 ms", shell_s * 1e3, "ms", floor
            ),
            Figure(
                f"the same over the API, connections kept ({BOARDS} boards)", "< 2000 ms", warm_s * 1e3, "ms", floor
            ),
            Figure(f"the same over the API, {BOARDS - 1} connections to make", "< 2000 ms", cold_s * 1e3, "ms", floor),
            Figure("memory of one kept connection (PSS of the operator's daemon)", "", per_line / 1024, "KiB"),
            Figure(
                f"CPU of {BOARDS - 1} kept connections that are idle", "< 1 %", max(idle_percent, 0.0), "% of one core"
            ),
            Figure(f"memory of {BOARDS} daemons together (PSS)", "", all_memory / 2**20, "MiB"),
        ]


@contextmanager
def run_boards(directory: Path) -> Iterator[tuple[Namespace, list[Board]]]:
    """All of them up and answering; whatever happens, none is left."""
    with ExitStack() as stack:
        namespace = stack.enter_context(Namespace("bench"))
        for address in ADDRESSES:
            namespace.ip("addr", "add", f"{address}/128", "dev", "lo")
        boards = [make_board(directory, namespace, number) for number in range(1, BOARDS + 1)]
        with ThreadPoolExecutor(AT_ONCE) as pool:
            stack.callback(lambda: list(ThreadPoolExecutor(AT_ONCE).map(Board.end, boards)))
            list(pool.map(Board.start, boards))
        yield namespace, boards


def make_board(directory: Path, namespace: Namespace, number: int) -> Board:
    nodes = {f"pi-{place}": f"[{address}]:{PORT}" for place, address in enumerate(ADDRESSES, 1)}
    cluster = {"name": f"pi-{number}", "listen": nodes[f"pi-{number}"], "operators": ADDRESSES[:1], "nodes": nodes}
    board = Board(directory / str(number), namespace.name, json.dumps(cluster))
    board.signal_address = f"127.0.0.1:{20_000 + number}"
    return board


def ask_all(operator: Board) -> None:
    with operator.api() as api:
        replies = api.call(ASK_STATUS, NodeReplies).replies
    wrong = [reply.node for reply in replies if reply.error is not None]
    if wrong or len(replies) != BOARDS:
        raise RuntimeError(f"{len(replies)} boards, no answer of {wrong}")


def ask_all_by_shell(operator: Board) -> None:
    operator.say("on", "all", "status")


def median_of(rounds: int, action: Callable[[], None]) -> float:
    """Seconds."""
    times = []
    for _ in range(rounds):
        begun = time.perf_counter()
        action()
        times.append(time.perf_counter() - begun)
    return statistics.median(times)


def memory_of(board: Board) -> int:
    """Bytes, pages that several daemons share divided among them."""
    lines = Path(f"/proc/{board.pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) * 1024


def idle_cpu_s(board: Board) -> float:
    """CPU seconds of a while in which nobody asks anything."""
    begun = cpu_s(board)
    time.sleep(IDLE_S)
    return cpu_s(board) - begun


def cpu_s(board: Board) -> float:
    fields = Path(f"/proc/{board.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / sysconf("SC_CLK_TCK")


def measure_echoes(namespace: Namespace) -> tuple[float, float]:
    words = [*namespace.inside(), sys.executable, "-m", "tests.benches.cluster_echo", *ADDRESSES]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True, timeout=300)
    in_turn, at_once = map(float, done.stdout.split())
    return in_turn, at_once
