"""Writing the image to a disk, here a file with its data synced: image/flash beside `dd` and bmaptool, rounds in turn.

A card reader is slower than this machine's disk; what can be compared is how many bytes each has to write, and its own
time on top.
"""

import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from image.emulator.card import find_image
from image.flashing.bmap import make_bmap, render
from image.flashing.writing import open_disk, verify, write
from image.recipe import read_recipe
from image.run import Runner
from image.tools import BOOT, install_tools
from tests.benches.figures import Figure

TREE = Path(__file__).parents[2]
ROUNDS = 3


def bench() -> list[Figure]:
    with tempfile.TemporaryDirectory(prefix="skywire-bench-") as name, Path(name, "log").open("w") as log:
        run, folder = Runner(log, read_recipe().epoch), Path(name)
        install_tools(run, BOOT | {"bmaptool": "bmap-tools"})
        image, target = find_image(run, TREE / "dist"), folder / "disk.img"
        bmap = make_bmap(image, read_recipe().disk)
        (folder / "image.bmap").write_text(render(bmap))

        def ours() -> None:
            with open_disk(target) as fd:
                write(image, bmap, fd, lambda _: None)

        def read_back() -> None:
            with open_disk(target) as fd:
                verify(image, bmap, fd, lambda _: None)

        def dd() -> None:
            run("dd", f"if={image}", f"of={target}", "bs=4M", "conv=fsync,notrunc", "status=none")

        def bmaptool() -> None:
            run("bmaptool", "-q", "copy", "--bmap", folder / "image.bmap", image, target)

        seen = _rounds(target, bmap.size, {"ours": ours, "dd": dd, "bmaptool": bmaptool})
        ours()
        begin = time.monotonic()
        read_back()
        verified_s = time.monotonic() - begin
    written, whole = bmap.mapped_bytes / 1e6, bmap.size / 1e6
    peers = f"dd {seen['dd']:.2f} s for {whole:.0f} MB, bmaptool {seen['bmaptool']:.2f} s"
    return [
        Figure(
            f"the image onto a disk: {written:.0f} of {whole:.0f} MB, sums checked, synced; median of {ROUNDS}",
            f"≤ {seen['dd']:.2f} s",
            seen["ours"],
            "s",
            peers,
        ),
        Figure("read back and compared", "", verified_s, "s", "dd and bmaptool do not"),
    ]


def _rounds(target: Path, size: int, ways: dict[str, Callable[[], None]]) -> dict[str, float]:
    """Median seconds of each; the disk is as big before each as the image, and cold writes are out of the way."""
    seen: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(ROUNDS):
        for name, way in ways.items():
            target.unlink(missing_ok=True)
            with target.open("wb") as file:
                file.truncate(size)
            subprocess.run(["sync"], check=True, timeout=300)
            begin = time.monotonic()
            way()
            seen[name].append(time.monotonic() - begin)
    return {name: statistics.median(times) for name, times in seen.items()}
