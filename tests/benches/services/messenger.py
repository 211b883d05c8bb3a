"""Small messages between two boards on one LAN: real nodes, the messengers as programs of their own, every commit made
sure of at both ends. From the sender's socket to the receiver's, as a program sees it.

There is no peer beside it: no messenger or broker of Debian's makes each message sure at both ends before it is
acknowledged (mosquitto saves its QoS 1 messages now and then), so what the disk takes for one such write is told.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path

from services.lines import encode
from services.manager.routes.policy import Policy
from services.messenger.api_wire import LineReader, decode_answer
from services.messenger.api_words import Came, Contacts, Refused, Send, SetContact, Watch, Watching
from services.messenger.line import ask_once
from tests.benches.figures import Figure
from tests.benches.mesh.progress import tell
from tests.benches.mesh.real import resident_mb, run_mesh
from tests.benches.mesh.spread import percentile
from tests.laboratory.model import By, Ready
from tests.mesh.talk import SOCKET
from tests.mesh.world import World

LAN = """
description: two boards on one switch; the first has the manager
hosts: [a, b]
switches: {lan: {subnet: 192.168.1.0/24, members: ["*"]}}
mesh: {managers: [a], links: [192.168.1.0/24], plain: true}
"""
PORT = 4444
PER_S, ROUND_S, ROUNDS = 2000, 2, 7
MOST = 20_000
BATCH_S = 0.005
CONNECTIONS = 6
WITHIN_S = 60.0
CHUNK = 1 << 20
READY = Ready(By.NOTIFY, within_s=60)


def bench() -> list[Figure]:
    """About a minute; needs root."""
    with run_mesh(LAN) as world:
        start(world)
        here, there = (world.host(name).outside(SOCKET) for name in "ab")
        target = world.id("b")
        pids = [world.host(name).job("meshnet-messenger").pid for name in "ab"]
        asyncio.run(load(here, there, target, PER_S, PER_S * ROUND_S))
        cpu = cpu_s(pids)
        rounds = [paced(here, there, target) for _ in range(ROUNDS)]
        used = cpu_s(pids) - cpu
        begin = time.monotonic()
        asyncio.run(load(here, there, target, 0, MOST))
        most = MOST / (time.monotonic() - begin)
        weight = max(resident_mb(pid) for pid in pids)
        sync_ms = disk_sync_ms(Path(world.host("a").folder))
    rate, p50, p99 = (statistics.median(values) for values in zip(*rounds, strict=True))
    claim = f"messages at {PER_S}/s, sent to shown, median of {ROUNDS} times {ROUND_S} s"
    disk = f"one write made sure on this disk: {sync_ms:.2f} ms"
    count = PER_S * ROUND_S * ROUNDS
    return [
        Figure("small messages between two boards, sent and shown", f"≥ {PER_S * 0.98:g} /s", rate, "/s"),
        Figure(f"{claim}, p50", "", p50, "ms", disk),
        Figure(f"{claim}, p99", "≤ 20 ms", p99, "ms", disk),
        Figure("both messengers' CPU for each message", "", used / count * 1e6, "µs"),
        Figure(f"as fast as they go, {CONNECTIONS} askers", "", most, "/s"),
        Figure("RSS of the heavier messenger after that", "≤ 40 MB", weight, "MB"),
    ]


def paced(here: Path, there: Path, target: str) -> tuple[float, float, float]:
    """Messages shown a second, and p50 and p99 in ms."""
    begin = time.monotonic()
    took = asyncio.run(load(here, there, target, PER_S, PER_S * ROUND_S))
    rate = len(took) / (time.monotonic() - begin)
    found = rate, percentile(took, 50) * 1e3, percentile(took, 99) * 1e3
    tell(f"{found[0]:.0f}/s, p50 {found[1]:.1f} ms, p99 {found[2]:.1f} ms")
    return found


def start(world: World) -> None:
    """Both know one another, so that neither is a stranger's limit in the way."""
    for name in "ab":
        host = world.host(name)
        host.write({"messenger.yaml": ""})
        words = ["meshnet-messenger", "run", "--config", str(host.folder / "messenger.yaml")]
        host.start(words, name="meshnet-messenger", ready=READY)
    world.connect_once_offered("a", "b", "messenger", Policy())
    for name, other in ("ab", "ba"):
        ask_once(SetContact(world.id(other), other), Contacts, world.host(name).outside(SOCKET))


async def load(here: Path, there: Path, target: str, per_s: int, count: int) -> list[float]:
    """Seconds from the asking to the telling, of each message; `per_s` 0 sends as fast as is answered."""
    sent: dict[str, float] = {}
    took: list[float] = []
    done = asyncio.Event()

    def came(event: object) -> None:
        if isinstance(event, Came) and (begin := sent.pop(event.message.text, None)) is not None:
            took.append(time.perf_counter() - begin)
            if len(took) == count:
                done.set()

    reader, watch = await asyncio.open_unix_connection(there)
    watch.write(encode(Watch()))
    assert isinstance(decode_answer(await reader.readline()), Watching)
    tasks = [asyncio.create_task(follow(reader, came))]
    mark = os.urandom(4).hex()
    askers = [await Asker.open(here) for _ in range(CONNECTIONS)]
    try:
        async with asyncio.timeout(WITHIN_S + count / (per_s or PER_S)):
            await (pace if per_s else push)(askers, target, mark, sent, per_s, count)
            await done.wait()
    finally:
        for task in (*tasks, *(asker.task for asker in askers)):
            task.cancel()
        await asyncio.gather(*tasks, *(asker.task for asker in askers), return_exceptions=True)
        for writer in (watch, *(asker.writer for asker in askers)):
            writer.transport.abort()
    return took


class Asker:
    """A connection on which questions run ahead of their answers."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writer = writer
        self.open_questions = 0
        self.answered = asyncio.Event()
        self.task = asyncio.create_task(follow(reader, self._take))

    @classmethod
    async def open(cls, path: Path) -> Asker:
        return cls(*await asyncio.open_unix_connection(path))

    def send(self, requests: list[Send]) -> None:
        self.open_questions += len(requests)
        self.writer.write(b"".join(map(encode, requests)))

    def _take(self, answer: object) -> None:
        assert not isinstance(answer, Refused), answer
        self.open_questions -= 1
        self.answered.set()


async def follow(reader: asyncio.StreamReader, tell_of: Callable[[object], None]) -> None:
    lines = LineReader(CHUNK)
    while data := await reader.read(CHUNK):
        for line in lines.feed(data):
            tell_of(decode_answer(line))


async def pace(askers: list[Asker], target: str, mark: str, sent: dict[str, float], per_s: int, count: int) -> None:
    """So many a second, a few at once, whatever becomes of those before."""
    begin, number = time.perf_counter(), 0
    while number < count:
        due = min(count, int((time.perf_counter() - begin) * per_s) + 1)
        texts = [f"{mark} small message {n}" for n in range(number, due)]
        now, number = time.perf_counter(), due
        sent.update(dict.fromkeys(texts, now))
        if texts:
            askers[(number // 10) % len(askers)].send([Send(target, text) for text in texts])
        await asyncio.sleep(BATCH_S)


async def push(askers: list[Asker], target: str, mark: str, sent: dict[str, float], per_s: int, count: int) -> None:
    """64 open questions on each connection."""
    del per_s
    number = 0
    while number < count:
        for asker in askers:
            more = min(64 - asker.open_questions, count - number)
            if more > 0:
                texts = [f"{mark} small message {n}" for n in range(number, number + more)]
                number += more
                sent.update(dict.fromkeys(texts, time.perf_counter()))
                asker.send([Send(target, text) for text in texts])
        await asyncio.sleep(0.001)


def cpu_s(pids: list[int]) -> float:
    """Of these processes, since their start."""
    fields = [Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split() for pid in pids]
    return sum(int(field[11]) + int(field[12]) for field in fields) / os.sysconf("SC_CLK_TCK")


def disk_sync_ms(folder: Path, times: int = 200) -> float:
    """The median of a small write that is made sure of."""
    took = []
    opened = os.open(folder / "sync", os.O_CREAT | os.O_WRONLY)
    for _ in range(times):
        os.write(opened, bytes(4096))
        begin = time.perf_counter()
        os.fdatasync(opened)
        took.append(time.perf_counter() - begin)
    os.close(opened)
    return statistics.median(took) * 1e3
