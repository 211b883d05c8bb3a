"""A chain of network namespaces on the emulated board: the mesh's data path through its kernel, WireGuard included.

What each namespace is to hold is put together here and sent as facts; the board's own `services.kernel` brings them.
"""

import json
import pickle
from pathlib import Path
from typing import Any

from image.emulator.board import Board
from services.kernel.model import Fact, opened
from tests.boot.chain_guest import PORT
from tests.services.kernel.words import Label, Node, ends, neighbour, own, relays, session

FOLDER = "/run/skywire-chain-programs"
GUEST = Path(__file__).with_name("chain_guest.py")
LABEL = Label(0x5EED)
DEADLINE_S = 600.0


class Chain:
    """`count` namespaces, with a route from the first to the last and a session through it."""

    def __init__(self, board: Board, count: int = 4) -> None:
        self._board, self.count = board, count
        self._nodes = [Node(f"chain-{place}") for place in range(1, count + 1)]

    def __enter__(self) -> "Chain":
        send_program(self._board, GUEST)
        self.ask("up", self.count)
        return self

    def __exit__(self, *_: object) -> None:
        self.ask("down")

    @property
    def far_end(self) -> str:
        """The session address of the last namespace."""
        return str(self._nodes[-1].session_address)

    def ask(self, verb: str, *words: object, data: bytes = b"") -> dict[str, Any]:
        """What `chain_guest` answers; it runs as root."""
        return run_program(self._board, GUEST, verb, *words, data=data)

    def bring(self) -> list[dict[str, Any]]:
        """For each namespace: how many facts were done, which failed, and how many a second time (none)."""
        facts = [self._facts(place) for place in range(self.count)]
        brought: list[dict[str, Any]] = self.ask("bring", data=pickle.dumps(facts))["brought"]
        return brought

    def _facts(self, place: int) -> list[Fact]:
        nodes, last = self._nodes, self.count - 1
        facts = own(nodes[place])
        if place > 0:
            facts += neighbour(nodes[place - 1], f"10.77.{place}.1")
        if place < last:
            facts += neighbour(nodes[place + 1], f"10.77.{place + 1}.2")
        if 0 < place < last:
            return [*facts, *relays(LABEL, nodes[place - 1], nodes[place + 1])]
        initiates = place == 0
        facts += ends(LABEL, nodes[1 if initiates else last - 1], initiates=initiates)
        facts += session(nodes[last - place], LABEL.responder if initiates else None)
        return [*facts, opened("tcp", PORT)]


def send_program(board: Board, program: Path) -> None:
    board.send(
        program.read_bytes(), f"sudo mkdir -p {FOLDER}; sudo tee {FOLDER}/{program.name} >/dev/null", user="admin"
    )


def run_program(board: Board, program: Path, *words: object, data: bytes = b"") -> dict[str, Any]:
    """As root on the board; the JSON object that it prints."""
    command = f"sudo /usr/lib/skywire/bin/python3 -IB {FOLDER}/{program.name} {' '.join(map(str, words))}"
    said = board.run(*board.ssh_words("admin"), command, stdin=data, timeout_s=DEADLINE_S)
    answer: dict[str, Any] = json.loads(said)
    return answer
