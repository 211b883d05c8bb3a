"""Runs on the board, as root: a row of network namespaces joined by cables, with our data path or Yggdrasil along it.

    chain_guest.py up COUNT         namespaces chain-1 …, chain-1 being 10.77.1.1 to chain-2's 10.77.1.2
    chain_guest.py bring            facts, pickled on standard input: one list for each namespace
    chain_guest.py carry TO BYTES   through TCP from the first namespace to the last
    chain_guest.py pump TO SECONDS  iperf3, and the whole board's CPU time meanwhile
    chain_guest.py yggdrasil PATH   along the row, each dialling the one before it over TLS
    chain_guest.py down             all of it goes

Each prints one JSON object. Only the board's own libraries are there.
"""

import contextlib
import json
import multiprocessing
import os
import pickle
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path

from services.kernel.machine import Machine
from services.kernel.model import Fact
from services.kernel.plan import want

RUN = Path("/run/netns")
STATE = Path("/run/skywire-chain")
PORT, YGGDRASIL_PORT = 5201, 9001
DEADLINE_S = 120.0
TICKS = os.sysconf("SC_CLK_TCK")


def up(count: str) -> dict[str, object]:
    down()
    STATE.mkdir()
    for place in range(1, int(count) + 1):
        tell("ip", "netns", "add", name(place))
        tell("ip", "-n", name(place), "link", "set", "lo", "up")
    for place in range(1, int(count)):
        ends = [f"c{place}r", f"c{place}l"]
        tell("ip", "link", "add", ends[0], "netns", name(place), "type", "veth",
             "peer", ends[1], "netns", name(place + 1))  # fmt: skip
        for side, device in enumerate(ends):
            inside = ["ip", "-n", name(place + side)]
            tell(*inside, "address", "add", f"10.77.{place}.{side + 1}/24", "dev", device)
            tell(*inside, "link", "set", device, "up")
    return {"namespaces": names()}


def bring() -> dict[str, object]:
    """The kernel keeps what is brought: no process of ours stays."""
    wanted: list[list[Fact]] = pickle.load(sys.stdin.buffer)  # noqa: S301  # from the test that started us
    return {"brought": [within(place, partial(settle, facts)) for place, facts in enumerate(wanted, 1)]}


def settle(facts: list[Fact]) -> dict[str, object]:
    machine = Machine.open()
    report, again = machine.bring(want(facts)), machine.bring(want(facts))
    return {"done": len(report.done), "failed": [failure.reason for failure in report.failed], "again": len(again.done)}


def carry(to: str, count: str) -> dict[str, object]:
    """What arrived, and how long it took."""
    last, size = len(names()), int(count)
    pipe, far = multiprocessing.Pipe()
    taker = multiprocessing.get_context("fork").Process(target=take, args=(last, to, far))
    taker.start()
    try:
        if not pipe.poll(DEADLINE_S):
            raise TimeoutError("nobody listens at the last namespace")
        pipe.recv()
        start = time.monotonic()
        within(1, partial(send, to, size))
        if not pipe.poll(DEADLINE_S):
            raise TimeoutError("the last namespace did not tell what came")
        return {"bytes": pipe.recv(), "seconds": time.monotonic() - start}
    finally:
        taker.kill()
        taker.join()


def take(place: int, address: str, pipe: Connection) -> None:
    enter(place)
    with socket.create_server((address, PORT), family=socket.AF_INET6) as listener:
        pipe.send("listening")
        link, _ = listener.accept()
        total = 0
        with link:
            while data := link.recv(1 << 16):
                total += len(data)
            link.sendall(b"done")
    pipe.send(total)


def send(to: str, size: int) -> int:
    with socket.create_connection((to, PORT), timeout=DEADLINE_S) as link:
        link.sendall(bytes(size))
        link.shutdown(socket.SHUT_WR)
        return len(link.recv(4))


def pump(to: str, seconds: str) -> dict[str, object]:
    folder = Path(sys.argv[0]).parent
    env = os.environ | {"LD_LIBRARY_PATH": str(folder)}
    program = str(folder / "iperf3")
    server = subprocess.Popen(
        [*inside(len(names())), program, "--server", "--one-off", "--bind", to],
        env=env, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        await_listener(len(names()))
        words = [*inside(1), program, "--client", to, "--time", seconds, "--json", "--connect-timeout", "20000"]
        before = busy_s()
        done = subprocess.run(words, env=env, capture_output=True, text=True, timeout=float(seconds) + 90, check=False)
        used = busy_s() - before
    finally:
        server.kill()
        server.wait()
    said = json.loads(done.stdout or "{}")
    if "error" in said or "end" not in said:
        raise OSError(said.get("error") or done.stderr)
    received = said["end"]["sum_received"]
    return {"bytes": received["bytes"], "seconds": received["seconds"], "cpu_s": used}


def await_listener(place: int) -> None:
    end = time.monotonic() + DEADLINE_S
    while f":{PORT} " not in subprocess.check_output([*inside(place), "ss", "-Hltn"], text=True):
        if time.monotonic() > end:
            raise TimeoutError("iperf3 does not listen")
        time.sleep(0.2)


def yggdrasil(program: str) -> dict[str, object]:
    """Its own default configuration, without the search for neighbours by multicast."""
    addresses, pids = [], []
    for place in range(1, len(names()) + 1):
        config = json.loads(subprocess.check_output([program, "-genconf", "-json"]))
        before = [f"tls://10.77.{place - 1}.1:{YGGDRASIL_PORT}"] if place > 1 else []
        config |= {"Listen": [f"tls://0.0.0.0:{YGGDRASIL_PORT}"], "Peers": before, "MulticastInterfaces": []}
        config |= {"AdminListen": "none", "IfName": "ygg0"}
        path = STATE / f"{place}.json"
        path.write_text(json.dumps(config))
        addresses.append(subprocess.check_output([program, "-useconffile", path, "-address"], text=True).strip())
        with (STATE / f"{place}.log").open("wb") as log:
            words = [*inside(place), program, "-useconffile", str(path)]
            pids.append(subprocess.Popen(words, stdout=log, stderr=log, start_new_session=True).pid)
    (STATE / "pids").write_text(" ".join(map(str, pids)))
    end = time.monotonic() + DEADLINE_S
    for address in addresses[1:]:
        while subprocess.call([*inside(1), "ping", "-qc1", "-W2", address], stdout=subprocess.DEVNULL):
            if time.monotonic() > end:
                raise TimeoutError(f"'{address}' does not answer the first namespace")
    return {"address": addresses[-1]}


def down() -> dict[str, object]:
    with contextlib.suppress(FileNotFoundError):
        for pid in map(int, (STATE / "pids").read_text().split()):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    gone = names()
    for found in gone:
        tell("ip", "netns", "delete", found)
    for file in STATE.glob("*"):
        file.unlink()
    if STATE.exists():
        STATE.rmdir()
    return {"gone": gone}


def within(place: int, act: Callable[[], object]) -> object:
    """In a child, which alone changes its namespace."""
    here, there = multiprocessing.Pipe(duplex=False)
    child = multiprocessing.get_context("fork").Process(target=act_in, args=(place, act, there))
    child.start()
    there.close()
    try:
        if not here.poll(DEADLINE_S):
            raise TimeoutError(f"{name(place)} took more than {DEADLINE_S:g} s")
        return here.recv()
    except EOFError:
        raise OSError(f"what was to happen in {name(place)} failed, see above") from None
    finally:
        child.join(5)


def act_in(place: int, act: Callable[[], object], pipe: Connection) -> None:
    enter(place)
    pipe.send(act())


def enter(place: int) -> None:
    with (RUN / name(place)).open() as file:
        os.setns(file.fileno(), os.CLONE_NEWNET)  # type: ignore[attr-defined]  # the board's Python has it, 3.11 not


def inside(place: int) -> list[str]:
    return ["ip", "netns", "exec", name(place)]


def name(place: int) -> str:
    return f"chain-{place}"


def names() -> list[str]:
    return sorted(path.name for path in RUN.glob("chain-*"))


def busy_s() -> float:
    """Every tick of the board that was neither idle nor waiting."""
    fields = [int(word) for word in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]]
    return (sum(fields[:3]) + sum(fields[5:7])) / TICKS


def tell(*words: str) -> None:
    subprocess.run(words, check=True, timeout=DEADLINE_S, stdout=subprocess.DEVNULL)


VERBS: dict[str, Callable[..., dict[str, object]]] = {
    "up": up, "bring": bring, "carry": carry, "pump": pump, "yggdrasil": yggdrasil, "down": down,
}  # fmt: skip

if __name__ == "__main__":
    print(json.dumps(VERBS[sys.argv[1]](*sys.argv[2:])))
