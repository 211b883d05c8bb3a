"""The data path on the emulated board, with kernel WireGuard: four namespaces in a row inside the guest, and beside it
Yggdrasil's package for the board's processor along the same row in the same run, rounds in turn.

Without KVM the seconds mean nothing; their ratio does. What the guest's whole machine used while iperf3 ran is counted.
"""

import io
import statistics
import tarfile
import tempfile
from pathlib import Path

from image.cache import default_cache
from image.emulator.board import Board
from image.emulator.card import find_image
from image.recipe import read_recipe
from image.run import Runner
from image.steps import packages
from image.tools import BOOT, install_tools
from tests.benches.figures import Figure
from tests.boot.chain import FOLDER, Chain

TREE = Path(__file__).parents[2]
ROUNDS, SECONDS = 3, 15
BOOT_DEADLINE_S = 900
PACKAGES = ("iperf3", "libiperf0", "libsctp1", "yggdrasil")
FILES = {
    "usr/bin/iperf3": "iperf3",
    "usr/lib/aarch64-linux-gnu/libiperf.so.0": "libiperf.so.0",
    "usr/lib/aarch64-linux-gnu/libsctp.so.1": "libsctp.so.1",
    "usr/sbin/yggdrasil": "yggdrasil",
}
OURS, YGGDRASIL = "ours", "Yggdrasil, tls"


def bench() -> list[Figure]:
    with tempfile.TemporaryDirectory(prefix="skywire-bench-") as folder, Path(folder, "log").open("w") as log:
        run = Runner(log, read_recipe().epoch)
        install_tools(run, BOOT)
        programs = _fetch(run, Path(folder))
        with Board("virt", find_image(run, TREE / "dist"), Path(folder, "board")) as board:
            board.wait_ssh(BOOT_DEADLINE_S)
            board.send(programs, f"sudo mkdir -p {FOLDER}; sudo tar -xz -C {FOLDER}", user="admin")
            seen: dict[str, list[dict[str, float]]] = {OURS: [], YGGDRASIL: []}
            for _ in range(ROUNDS):
                for kind, rounds in seen.items():
                    rounds.append(_round(board, kind))
    cost = {
        kind: statistics.median(1e9 * one["cpu_s"] / one["bytes"] for one in rounds) for kind, rounds in seen.items()
    }
    rate = {
        kind: statistics.median(8e-6 * one["bytes"] / one["seconds"] for one in rounds) for kind, rounds in seen.items()
    }
    chain = f"emulated board, 4 namespaces in a row, kernel WireGuard, 1 TCP stream, median of {ROUNDS}"
    return [
        Figure(
            f"{chain}: CPU seconds per GB of {OURS} in those of {YGGDRASIL}",
            "≤ 0.5 times",
            cost[OURS] / cost[YGGDRASIL],
            "times",
            f"{cost[OURS]:.0f} s against {cost[YGGDRASIL]:.0f} s of the guest",
        ),
        Figure(
            f"{chain}: throughput",
            "",
            rate[OURS],
            "Mbit/s of an emulator",
            f"{YGGDRASIL}: {rate[YGGDRASIL]:.1f} Mbit/s",
        ),
    ]


def _round(board: Board, kind: str) -> dict[str, float]:
    with Chain(board) as chain:
        if kind == OURS:
            failed = [reason for one in chain.bring() for reason in one["failed"]]
            if failed:
                raise OSError(f"the chain cannot be made on the board: {failed[0]}")
            to = chain.far_end
        else:
            to = chain.ask("yggdrasil", f"{FOLDER}/yggdrasil")["address"]
        return chain.ask("pump", to, SECONDS)


def _fetch(run: Runner, folder: Path) -> bytes:
    """The peers' programs of the image's own suite, as a tar; kept in the pool of the image's packages."""
    recipe, pool = read_recipe(), default_cache() / "debs"
    apt = packages.open_apt(run, recipe.debian, packages.find_mirror(run, None), folder / "apt")
    chosen = packages.named(run, apt, *PACKAGES)
    packages.fetch(run, chosen, apt, pool, folder / "apt/archives")
    for package in chosen:
        run("dpkg-deb", "--extract", packages.in_pool(pool, package), folder / "peers")
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for path, name in FILES.items():
            archive.add((folder / "peers" / path).resolve(), name)
    return packed.getvalue()
