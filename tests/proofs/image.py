"""`tests/prove image`: the build's figures, both machines, cards with faults, and two independent builds compared."""

import json
from pathlib import Path

from image.recipe import read_recipe
from image.run import Runner
from image.tools import install_tools
from tests.boot.faults import prove_faults
from tests.boot.raspi3b import prove_raspi3b
from tests.boot.rows import Table
from tests.boot.virt import prove_virt
from tests.proofs.twice import TOOLS, prove_twice

FIGURES = "skywire-board-arm64.figures.json"


def prove(run: Runner, image: Path, scratch: Path, parts: set[str]) -> list[Table]:
    """The tables of the parts asked for."""
    tables: list[Table] = []

    def open_table(title: str) -> Table:
        tables.append(Table(title))
        return tables[-1]

    if "build" in parts:
        prove_build(run, image, open_table("the build"))
    if "virt" in parts:
        prove_virt(image, scratch, open_table("virt, one boot"))
    if "raspi3b" in parts:
        prove_raspi3b(image, scratch, open_table("raspi3b, one boot"))
    if "faults" in parts:
        prove_faults(image, scratch, open_table("virt, other cards"))
    if "twice" in parts:
        install_tools(run, TOOLS)
        prove_twice(scratch, open_table("two independent builds"))
    return tables


def prove_build(run: Runner, image: Path, table: Table) -> None:
    """What the last build left in dist/ and how long it took, against the aims."""
    aims, dist = read_recipe().aims, image.parent
    figures = json.loads((dist / FIGURES).read_text())
    table.check("SHA256SUMS hold", lambda: (run.text("sha256sum", "--check", "SHA256SUMS", cwd=dist), True))
    rows = len((dist / "skywire-board-arm64.manifest.tsv").read_text().splitlines()) - 1
    table.add("the manifest names packages, versions and hashes", f"{rows} packages and libraries", rows > 100)
    limit = aims.cold_build_s if figures["cold"] else aims.warm_build_s
    kind = "from nothing" if figures["cold"] else "with a warm cache"
    table.add(
        f"the build {kind} takes at most {limit:.0f} s",
        f"{figures['seconds']:.0f} s",
        figures["seconds"] <= limit,
        aim=True,
    )
    root_mb = figures["root_bytes"] / 1e6
    table.add(
        f"the root has at most {aims.root_mb:.0f} MB unpacked", f"{root_mb:.1f} MB", root_mb <= aims.root_mb, aim=True
    )
    if figures["packed_bytes"]:
        packed_mb = figures["packed_bytes"] / 1e6
        table.add(
            f"the .img.xz has at most {aims.image_xz_mb:.0f} MB",
            f"{packed_mb:.1f} MB",
            packed_mb <= aims.image_xz_mb,
            aim=True,
        )
