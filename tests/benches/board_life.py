"""The board's life in figures, on one emulated board (`virt`, no KVM: compare seconds within one run only): boot,
memory, what is written to the card while nothing happens, an update by stream, an archive for support.

Beside the bytes stands a plain Debian's log on the same board: journald on the card, access times noted.
"""

import json
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path

from image.emulator.board import Board
from image.emulator.card import find_image
from image.recipe import read_recipe
from image.run import Runner
from image.tools import BOOT, install_tools
from tests.benches.figures import Figure
from tests.boot.bundle_server import BundleServer
from tests.boot.care_rows import AIM_MB_PER_HOUR, idle_megabytes, settle
from tests.boot.update_rows import make_bundles

TREE = Path(__file__).parents[2]
BOOT_DEADLINE_S = 1500
INSTALL_DEADLINE_S = 1500
IDLE_MINUTES = 15.0
SUPERVISOR_S = 60
PLAIN = """
mkdir -p /data/plain-log /run/log-config /run/systemd/journald.conf.d
mkdir -p /var/log/journal; mount --bind /data/plain-log /var/log/journal
printf '[Journal]\\nStorage=persistent\\nForwardToSyslog=no\\n' >/run/systemd/journald.conf.d/zz-plain.conf
mount -o remount,relatime /data
systemctl restart systemd-journald; journalctl --flush
"""
MEMORY = "awk '/MemTotal|MemAvailable/ {print $2}' /proc/meminfo"
PROGRAMS = "sudo systemctl show -P MemoryCurrent -P Id skywire-board viscript 'skywire-app-*' | xargs -n2"
UPDATE_UNITS = "systemctl show -P MemoryPeak rauc.service skywire-update.service"
"""Nothing of one that has ended: asked while it installs."""

LOOK_EVERY_S = 5.0


def bench() -> list[Figure]:
    with tempfile.TemporaryDirectory(prefix="skywire-bench-") as folder, Path(folder, "log").open("w") as log:
        run = Runner(log, read_recipe().epoch)
        install_tools(run, BOOT)
        with Board("virt", find_image(run, TREE / "dist"), Path(folder, "board")) as board:
            board.wait_ssh(BOOT_DEADLINE_S)
            figures = [
                Figure(
                    "virt: power-on to the shell over SSH, first boot",
                    f"≤ {read_recipe().aims.virt_shell_s:.0f} s",
                    board.seconds,
                    "s",
                )
            ]
            settle(board)
            figures += [_memory(board), _supervisor(board), _support(board), _idle(board)]
            figures += _update(board, Path(folder))
    return figures


def _memory(board: Board) -> Figure:
    total, available = (int(word) for word in board.ssh(MEMORY, user="admin").stdout.split())
    return Figure("RAM in use with the board's own programs, idle", "≤ 350 MB", (total - available) / 1e3, "MB")


def _supervisor(board: Board) -> Figure:
    ask = "systemctl show -P CPUUsageNSec skywire-board; cut -d' ' -f1 /proc/uptime"
    used, at = (float(word) for word in board.ssh(ask, user="admin").stdout.split())
    time.sleep(SUPERVISOR_S)
    used_after, at_after = (float(word) for word in board.ssh(ask, user="admin").stdout.split())
    share = (used_after - used) / 1e7 / (at_after - at)
    return Figure("the supervisor's share of one emulated core, idle", "≤ 1 %", share, "%")


def _support(board: Board) -> Figure:
    begin = time.monotonic()
    archive = board.run(*board.ssh_words("viscript"), "support", timeout_s=600)
    took = time.monotonic() - begin
    return Figure(f"an archive for support ({len(archive) / 1e3:.0f} kB)", "≤ 60 s", took, "s")


def _idle(board: Board) -> Figure:
    ours, names = idle_megabytes(board, IDLE_MINUTES)
    board.send(PLAIN.encode(), "sudo sh -s", user="admin")
    plain, _ = idle_megabytes(board, IDLE_MINUTES)
    return Figure(
        f"written to the card per idle hour, from {IDLE_MINUTES:.0f} min (files in {', '.join(names) or 'none'})",
        f"≤ {AIM_MB_PER_HOUR:.0f} MB",
        ours,
        "MB",
        f"with Debian's persistent journal and relatime on the same board: {plain:.2f} MB",
    )


def _update(board: Board, folder: Path) -> list[Figure]:
    """By stream, and the same from a file that was copied to the board first; neither is started."""
    well, _ = make_bundles(board, folder / "bundles")
    with BundleServer(well) as server:
        streamed_s, peaks = _watched(board, f"update {server.url}")
        fetched = server.fetched / 1e6
    begin = time.monotonic()
    board.send(well.read_bytes(), "sudo tee /data/update.raucb >/dev/null", user="admin")
    copied_s, begin = time.monotonic() - begin, time.monotonic()
    board.ssh("update /data/update.raucb", deadline_s=INSTALL_DEADLINE_S)
    file_s = time.monotonic() - begin
    size = well.stat().st_size / 1e6
    return [
        Figure(
            f"an update by stream: {fetched:.1f} MB fetched of {size:.1f} MB",
            "",
            streamed_s,
            "s",
            f"from a file: {copied_s:.0f} s to copy it and {file_s:.0f} s to install",
        ),
        Figure("memory of the installing programs, peak, page cache of the slot included", "≤ 128 MB",
               sum(peaks), "MB", f"of RAUC and of our own door: {json.dumps([round(peak, 1) for peak in peaks])}"),
    ]  # fmt: skip


def _watched(board: Board, command: str) -> tuple[float, list[float]]:
    """Seconds of an installation, and the megabytes that its programs had at most."""
    peaks = [0.0, 0.0]
    with ThreadPoolExecutor(1) as pool:
        begin = time.monotonic()
        installing = pool.submit(board.ssh, command, deadline_s=INSTALL_DEADLINE_S)
        while not wait([installing], LOOK_EVERY_S).done:
            said = filter(None, board.ssh(UPDATE_UNITS, user="admin").stdout.splitlines())
            seen = [int(line) / 1e6 if line.isdigit() else 0.0 for line in said]
            peaks = [max(pair) for pair in zip(peaks, seen, strict=True)]
        installing.result()
    return time.monotonic() - begin, peaks
