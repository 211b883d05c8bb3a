"""Runs on the board, as root: a second node, a real one with an identity of its own, in a network namespace that is
joined to the board by a cable. It joins the board's network by invitation, and opens a session for a service that the
board publishes.

Prints one JSON object with what it saw, and takes all of it away again. Only the board's own libraries are there.
"""

import contextlib
import json
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

FAR = "far"
FOLDER = Path("/run/skywire-far")
SOCKET = FOLDER / "node.sock"
BIN = "/usr/lib/skywire/bin"
PORT = 8080
DEADLINE_S = float(sys.argv[1]) if len(sys.argv) > 1 else 300.0
INSIDE = ("ip", "netns", "exec", FAR)
CONFIG = """\
seed: {folder}/seed
ram: {folder}/ram
card: {folder}/card
socket: {folder}/node.sock
resolver: ""
managers: [{{at: "10.78.0.1:7997", token: "{token}"}}]
"""
DIAL = """
import socket, sys
with socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=60) as link:
    link.sendall(bytes(1_000_000)); link.shutdown(socket.SHUT_WR); print(link.recv(64).decode())
"""


def main() -> dict[str, object]:
    with cable(), far_node() as far_id:
        board = ask("node", "status")
        await_so(lambda: ask("node", "status", "--socket", str(SOCKET))["works"], "the far node works")
        with served(str(board["session_address"])), publishing():
            where = await_so(lambda: connect(str(board["node_id"])), "the far node gets a session")
            words = [*INSIDE, f"{BIN}/python3", "-IBc", DIAL, str(where["address"]), str(where["port"])]
            said = subprocess.run(words, capture_output=True, text=True, timeout=DEADLINE_S, check=True).stdout.strip()
        sessions = ask("node", "sessions", "--socket", str(SOCKET))
        kinds = sh(*INSIDE, "ip", "-d", "link", "show", "sky0")
        sh(f"{BIN}/manager", "expel", far_id)
    return {"said": said, "address": where["address"], "kernel": "wireguard" in kinds, "sessions": sessions}


def connect(board_id: str) -> dict[str, Any]:
    return ask(*INSIDE, f"{BIN}/node", "connect", board_id, "web", "--socket", str(SOCKET))


@contextlib.contextmanager
def cable() -> Iterator[None]:
    clear()
    sh("modprobe", "veth")
    sh("ip", "netns", "add", FAR)
    try:
        sh("ip", "link", "add", "far0", "type", "veth", "peer", "name", "far1", "netns", FAR)
        for place, where, device in ((1, ["ip"], "far0"), (2, ["ip", "-n", FAR], "far1")):
            sh(*where, "address", "add", f"10.78.0.{place}/24", "dev", device)
            sh(*where, "link", "set", device, "up")
        sh("ip", "-n", FAR, "link", "set", "lo", "up")
        sh("ip", "-n", FAR, "route", "add", "default", "via", "10.78.0.1")
        yield
    finally:
        clear()


def clear() -> None:
    subprocess.run(["ip", "netns", "delete", FAR], capture_output=True, check=False)
    shutil.rmtree(FOLDER, ignore_errors=True)


@contextlib.contextmanager
def far_node() -> Iterator[str]:
    """Runs as root does anywhere: from a configuration, in the foreground."""
    for name in ("", "ram", "card"):
        (FOLDER / name).mkdir(mode=0o700)
    token = ask("manager", "invite")["token"]
    config = FOLDER / "node.yaml"
    config.write_text(CONFIG.format(folder=FOLDER, token=token))
    node_id = ask("node", "identity", "new", "--file", str(FOLDER / "seed"))["node_id"]
    with (FOLDER / "log").open("wb") as log:
        process = subprocess.Popen([*INSIDE, f"{BIN}/node", "run", "--config", str(config)], stdout=log, stderr=log)
    try:
        yield str(node_id)
    except BaseException:
        print((FOLDER / "log").read_text()[-2000:], file=sys.stderr)
        raise
    finally:
        process.terminate()
        process.wait(60)


@contextlib.contextmanager
def served(address: str) -> Iterator[None]:
    """Counts what one caller sends, and tells it."""
    listener = socket.create_server((address, PORT), family=socket.AF_INET6)

    def serve() -> None:
        with contextlib.suppress(OSError), listener.accept()[0] as link:
            total = 0
            while data := link.recv(1 << 16):
                total += len(data)
            link.sendall(f"{total} bytes arrived".encode())

    with listener:
        threading.Thread(target=serve, daemon=True).start()
        yield


@contextlib.contextmanager
def publishing() -> Iterator[None]:
    process = subprocess.Popen([f"{BIN}/node", "publish", "web", str(PORT)], stdout=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.terminate()
        process.wait(60)


def await_so(look: Callable[[], Any], what: str) -> Any:
    """Asks again until there is an answer that counts."""
    end, last = time.monotonic() + DEADLINE_S, "nothing"
    while time.monotonic() < end:
        try:
            if found := look():
                return found
        except OSError as error:
            last = str(error)
        time.sleep(1)
    raise TimeoutError(f"not within {DEADLINE_S:g} s: {what}; last: {last}")


def ask(*words: str) -> dict[str, Any]:
    program = [] if words[: len(INSIDE)] == INSIDE else [f"{BIN}/{words[0]}"]
    answer: dict[str, Any] = json.loads(sh(*program, *words[len(program) :], "--json"))
    return answer


def sh(*words: str) -> str:
    done = subprocess.run(words, capture_output=True, text=True, timeout=DEADLINE_S, check=False)
    if done.returncode and not done.stdout.startswith("{"):
        raise OSError(f"'{' '.join(words)}': {done.stderr.strip()}")
    return done.stdout


if __name__ == "__main__":
    print(json.dumps(main()))
