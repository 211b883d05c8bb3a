"""A rack of two from nothing: cards written one after the other by `image/flash --rack`, then two boards on one switch,
of which the second finds the first and is let in, with nothing pressed and nobody asked.
"""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from image.emulator.board import Board
from image.emulator.card import CARD_BYTES
from image.emulator.lan import Lan
from image.run import Runner
from tests.boot.rows import Table, wait_for
from tests.boot.setup_rows import keep_fat, read_fat

NAME, COUNT = "sky", 2
BOOT_DEADLINE_S, JOINED_WITHIN_S, FLASH_DEADLINE_S = 1500, 420, 600
PUT_IN = re.compile(r"card (\d) of \d, '[^']*': put it in and press Enter")
SECRETS = re.compile(rb'^(?:identity|invite): "?([^"\n]+)"?$', re.MULTILINE)


def write_rack(image: Path, folder: Path) -> list[Path]:
    """Two cards as files, with the key `folder/key` on them, by the command that people use."""
    device, cards = folder / "device.img", [folder / f"card-{number}.img" for number in range(1, COUNT + 1)]
    with (folder / "flash.log").open("w") as log:
        run = Runner(log, 0)
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "rack", "-f", folder / "key")
        words = ["--image", image, "--name", NAME, "--rack", COUNT, "--ssh-key", folder / "key.pub", "--yes"]
        with device.open("wb") as file:
            file.truncate(CARD_BYTES)
        command = [sys.executable, "-m", "image.flashing", str(device), *map(str, words)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log) as flash:
            assert flash.stdin is not None
            for number in _put_in(flash):
                if number > 1:
                    run("cp", "--sparse=always", device, cards[number - 2])
                flash.stdin.write(b"\n")
                flash.stdin.flush()
            flash.wait(FLASH_DEADLINE_S)
        if flash.returncode:
            raise OSError(f"image/flash ended with {flash.returncode}: {(folder / 'flash.log').read_text()[-500:]}")
        device.rename(cards[-1])
    return cards


def _put_in(flash: "subprocess.Popen[bytes]") -> Iterator[int]:
    """Each card's number, when it is asked for."""
    assert flash.stdout is not None
    said = ""
    while piece := flash.stdout.read1(4096):  # type: ignore[attr-defined]
        said += piece.decode(errors="replace")
        while asked := PUT_IN.search(said):
            said = said[asked.end() :]
            yield int(asked[1])


@contextmanager
def rack_of(cards: list[Path], folder: Path) -> Iterator[list[Board]]:
    """Up, with the shell answering, on one switch."""
    with Lan(folder / "lan.log") as lan, ExitStack() as running:
        boards = []
        for number, card in enumerate(cards, 1):
            home = folder / str(number)
            home.mkdir()
            for name in ("key", "key.pub"):
                shutil.copy(folder / name, home / name)
            boards.append(Board("virt", card, home, login=False, lan=lan))
            keep_fat(boards[-1])
        for board in boards:
            running.enter_context(board)
        for board in boards:
            board.wait_ssh(BOOT_DEADLINE_S)
        yield boards


def rack_rows(boards: list[Board], table: Table) -> None:
    first, second = boards
    table.check("two cards that were written in a row boot under their names", lambda: _named(boards))
    table.check("the second board joins the first, with nothing pressed", lambda: _joined(first, second))
    table.check("words and invitation are gone from both cards", lambda: _taken(boards))


def _named(boards: list[Board]) -> tuple[str, bool]:
    names = [board.ssh("cat /proc/sys/kernel/hostname", user="admin").stdout.strip() for board in boards]
    return f"{names}", names == [f"{NAME}-{number}" for number in range(1, COUNT + 1)]


def _joined(first: Board, second: Board) -> tuple[str, bool]:
    def look() -> str | None:
        status = json.loads(second.ssh("node status --json", user="admin", check=False).stdout or "{}")
        members = first.ssh("sudo manager nodes --json", user="admin", check=False).stdout
        is_in = status.get("works") and status["node_id"] in members
        return members if is_in and f"{NAME}-2" in members else None

    said = wait_for(look, JOINED_WITHIN_S, 3)
    if said is None:
        return "not joined", False
    shown = first.ssh("sudo manager nodes", user="admin").stdout
    return f"{second.ssh('node status', user='admin').stdout}\n{shown}", f"({NAME}-2)" in shown


def _taken(boards: list[Board]) -> tuple[str, bool]:
    """Looked for in every byte of the boot partition, as it was before the first boot and is now."""
    found, left = 0, 0
    for board in boards:
        secrets = SECRETS.findall(read_fat(board, "before", first=True).read_bytes())
        now = read_fat(board, "after").read_bytes()
        found += len(secrets)
        left += sum(secret in now for secret in secrets)
    return f"{found} secrets before, {left} of them left", found == 2 * COUNT - 1 and left == 0
