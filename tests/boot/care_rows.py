"""The care of the card: how much is written to it while nothing happens, by whom, and where the log is after a boot."""

import re
import time
from collections import Counter

from image.emulator.board import Board
from tests.boot.rows import Table, wait_for

AIM_MB_PER_HOUR = 2.0
BOOT_DEADLINE_S = 900
WRITTEN = "sudo find /data -xdev -type f -newermt @{since} -size -64M -printf '%T@ %s %P\\n' | sort -n | tail -n 40"
QUIET_S, QUIET_BYTES, SETTLED_WITHIN_S = 60.0, 100_000, 900
MARK = "cut-here-of-the-log"


def written_bytes(board: Board) -> int:
    """To the card since QEMU started."""
    return sum(int(device["stats"]["wr_bytes"]) for device in board.qmp.ask("query-blockstats"))


def idle_rows(board: Board, table: Table, minutes: float) -> None:
    """Nobody speaks to the board meanwhile."""

    def look() -> tuple[str, bool]:
        settled_s = settle(board)
        mb, names = idle_megabytes(board, minutes)
        seen = f"{mb:.2f} MB an hour, measured over {minutes:.0f} min from {settled_s:.0f} s after power-on, and scaled"
        return f"{seen}; written: {', '.join(names) or 'nothing'}", mb <= AIM_MB_PER_HOUR

    table.check(f"while nothing happens at most {AIM_MB_PER_HOUR:.0f} MB an hour are written to the card", look)


def idle_megabytes(board: Board, minutes: float) -> tuple[float, list[str]]:
    """MB (10^6) an hour, and which folders of the data partition have files that changed meanwhile, and how many."""
    since = board.ssh("sync; date +%s", user="admin").stdout.strip()
    begin, at = written_bytes(board), time.monotonic()
    while time.monotonic() - at < 60 * minutes:
        time.sleep(min(5, max(0.1, 60 * minutes - (time.monotonic() - at))))  # nothing is to happen: no event
    written, hours = written_bytes(board) - begin, (time.monotonic() - at) / 3600
    lines = board.ssh(WRITTEN.format(since=since), user="admin").stdout.splitlines()
    files = {line.split(" ", 2)[2] for line in lines if line.count(" ") >= 2}
    folders = Counter("/".join(file.split("/")[:2]) for file in files)
    return written / hours / 1e6, [f"{folder} {count}" for folder, count in sorted(folders.items())]


def settle(board: Board) -> float:
    """Until what a first boot has to do is done: a minute in which hardly anything was written. Seconds since power-on,
    that minute's end.
    """
    board.ssh("sudo systemctl start skywire-second-slot", user="admin", deadline_s=SETTLED_WITHIN_S)
    end, before = time.monotonic() + SETTLED_WITHIN_S, written_bytes(board)
    while time.monotonic() < end:
        time.sleep(QUIET_S)  # nothing is to happen: no event
        now = written_bytes(board)
        if now - before <= QUIET_BYTES:
            break
        before = now
    return board.seconds


def log_rows(board: Board, table: Table) -> None:
    """Restarts the board in order: what was logged in the boot before is on the card, packed and small."""

    def look() -> tuple[str, bool]:
        board.ssh(f"logger -p user.warning {MARK} || sudo sh -c 'echo \"<4>{MARK}\" >/dev/kmsg'", user="admin")
        boots = len(re.findall("Starting kernel", board.console()))
        board.ssh("sudo systemctl reboot", user="admin", check=False)
        wait_for(lambda: len(re.findall("Starting kernel", board.console())) > boots or None, 300, 0.5)
        board.wait_ssh(BOOT_DEADLINE_S)
        listed = "sudo ls -l /data/log | tail -n 3; sudo sh -c 'zcat /data/log/*.gz' | grep -c " + MARK
        said = board.ssh(listed, user="admin", check=False).stdout
        return said, said.splitlines()[-1:] not in ([], ["0"])

    table.check("the log of the boot before is on the card", look)
