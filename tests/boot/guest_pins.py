"""The tests of the pin factory, run on the board itself against gpio-sim: a real gpiochip in a real kernel."""

import io
import re
import sys
import tarfile
from pathlib import Path

from image.emulator.board import Board
from tests.boot.rows import Table

TREE = Path(__file__).parents[2]
LIBRARIES = ("_pytest", "iniconfig", "packaging", "pluggy", "py.py", "pygments", "pytest")
TEST = "tests/skywire_board/pins/test_gpiod_factory.py"
DEADLINE_S = 900
RUN = """
set -e; cd /tmp/pins; sudo modprobe gpio-sim
mountpoint -q /sys/kernel/config || sudo mount -t configfs configfs /sys/kernel/config
sudo env PYTHONPATH=/tmp/pins /usr/lib/skywire/bin/python3 -B -m pytest -c /dev/null --rootdir=. \
  -q -p no:cacheprovider --import-mode=importlib test_gpiod_factory.py 2>&1 | tail -n 3
"""


def pin_rows(board: Board, table: Table) -> None:
    """Sends pytest and the tests over SSH (the card carries neither), and reads pytest's closing line."""

    def look() -> tuple[str, bool]:
        board.send(_bundle(), "mkdir -p /tmp/pins && tar -xz -C /tmp/pins", user="admin")
        said = board.ssh(RUN, user="admin", deadline_s=DEADLINE_S).stdout.strip().splitlines()[-1]
        counts = {word: int(number) for number, word in re.findall(r"(\d+) (passed|failed|skipped|error)", said)}
        return said, counts.get("passed", 0) > 20 and counts.keys() <= {"passed"}

    table.check("the pin factory passes its tests on gpio-sim in the guest, none skipped", look)


def _bundle() -> bytes:
    site = Path(next(path for path in sys.path if path.endswith("site-packages")))
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name in LIBRARIES:
            archive.add(site / name, name, filter=lambda item: None if "__pycache__" in item.name else item)
        archive.add(TREE / TEST, Path(TEST).name)
    return packed.getvalue()
