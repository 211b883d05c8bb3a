"""The tests of the pin factory, run on the board itself: against gpio-sim, a real gpiochip in a real kernel, and on
`raspi3b` against the SoC's own chip, whose lines are pushed and looked at from outside the emulator.
"""

import contextlib
import io
import re
import socketserver
import sys
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path

from image.emulator.board import Board
from image.emulator.pins import Block
from tests.boot.rows import Table

TREE = Path(__file__).parents[2]
LIBRARIES = ("_pytest", "iniconfig", "packaging", "pluggy", "py.py", "pygments", "pytest")
TEST = "tests/skywire_board/pins/test_gpiod_factory.py"
DEADLINE_S = 900
HOST = "10.0.2.2"
"""This machine as QEMU's user network shows it to the guest."""

RUN = """
set -e; cd /tmp/pins; sudo modprobe gpio-sim
mountpoint -q /sys/kernel/config || sudo mount -t configfs configfs /sys/kernel/config
sudo env PYTHONPATH=/tmp/pins {variable} /usr/lib/skywire/bin/python3 -B -m pytest -c /dev/null --rootdir=. \
  -q -p no:cacheprovider --import-mode=importlib -k '{choice}' test_gpiod_factory.py 2>&1 | tail -n 3
"""
OWN_CHIP = "outside and not edges and not no_thread"
"""Not those about edges: the emulated SoC raises no edge interrupts, which is why the button is sampled."""


def pin_rows(board: Board, table: Table) -> None:
    """Sends pytest and the tests over SSH (the card carries neither), and reads pytest's closing line."""
    claim = "the pin factory passes its tests on gpio-sim in the guest, none skipped"
    table.check(claim, lambda: _run(board, "not outside", "", more_than=20))


def own_chip_rows(board: Board, table: Table, label: str) -> None:
    """The same tests on the emulated SoC's lines. The supervisor holds some of them, and is stopped meanwhile."""

    def look() -> tuple[str, bool]:
        with _outside(board.pins.block) as port:
            board.ssh("sudo systemctl stop skywire-board", user="admin")
            try:
                return _run(board, OWN_CHIP, f"SKYWIRE_OUTSIDE={HOST}:{port}:{label}", more_than=10)
            finally:
                board.pins.button(pressed=False)  # as it was: held at its start, the supervisor takes it for stuck
                board.ssh("sudo systemctl start skywire-board", user="admin")

    table.check("the same tests pass on the Raspberry Pi 3's own lines, seen and pushed from outside", look)


def _run(board: Board, choice: str, variable: str, more_than: int) -> tuple[str, bool]:
    board.send(_bundle(), "mkdir -p /tmp/pins && tar -xz -C /tmp/pins", user="admin")
    command = RUN.format(choice=choice, variable=variable)
    said = board.ssh(command, user="admin", deadline_s=DEADLINE_S).stdout.strip().splitlines()[-1]
    counts = {word: int(number) for number, word in re.findall(r"(\d+) (passed|failed|skipped|error)", said)}
    return said, counts.get("passed", 0) > more_than and counts.keys() <= {"passed"}


@contextlib.contextmanager
def _outside(block: Block) -> Iterator[int]:
    """Serves `push LINE LEVEL` and `look LINE` on a port of loopback, which is returned."""

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            for line in self.rfile:
                verb, offset, *level = line.decode().split()
                if verb == "push":
                    block.drive(int(offset), level == ["1"])
                answer = block.levels() >> int(offset) & 1
                self.wfile.write(f"{answer}\n".encode())

    with socketserver.TCPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()


def _bundle() -> bytes:
    site = Path(next(path for path in sys.path if path.endswith("site-packages")))
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name in LIBRARIES:
            archive.add(site / name, name, filter=lambda item: None if "__pycache__" in item.name else item)
        archive.add(TREE / TEST, Path(TEST).name)
    return packed.getvalue()
