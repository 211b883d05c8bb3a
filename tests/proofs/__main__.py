"""The command line of `tests/prove`. Exit code 0: every row holds (a missed aim is printed, no more); else 1."""

import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import click

from image.emulator.board import end_by_interrupt
from image.emulator.card import find_image
from image.errors import ImageError
from image.recipe import read_recipe
from image.run import Runner
from image.tools import BOOT, install_tools
from tests.boot.rows import Table
from tests.proofs import board, services

TREE = Path(__file__).parents[2]
BUILD_DEADLINE_S = 7200


PARTS = {
    "image": ["build", "virt", "raspi3b", "faults", "twice"],
    "viscript": ["daemon", "installed", "cluster"],
    "mesh": ["rooms", "skyminer", "line", "people", "hostile", "failover", "wires", "sites", "managers"],
    "services": services.names(),
    "board": list(board.PARTS),
}
"""What can be proved, and the parts that `--only` may name."""


@click.command()
@click.argument("subject", type=click.Choice(list(PARTS)))
@click.option("--only", multiple=True, help="Only this part of the rows.")
@click.option("--cuts", type=click.IntRange(0), default=50, show_default=True, help="Of board: cut cards to boot.")
@click.option("--seed", type=int, help="Of board: the dice of the cuts, as a run printed it.")
@click.option("--keep", type=click.Path(path_type=Path), help="Keep cards and logs in this folder.")
def main(subject: str, only: tuple[str, ...], cuts: int, seed: int | None, keep: Path | None) -> None:
    """Show what is claimed of SUBJECT, and what was seen of it.

    \b
    Example:
      tests/prove image
      tests/prove viscript --only daemon
    """
    unknown = [part for part in only if part not in PARTS[subject]]
    if unknown:
        raise click.UsageError(f"'{unknown[0]}' is no part of {subject}; choose among {', '.join(PARTS[subject])}")
    end_by_interrupt()
    with tempfile.TemporaryDirectory(prefix="skywire-prove-") as folder:
        scratch = keep or Path(folder)
        scratch.mkdir(parents=True, exist_ok=True)
        provers: dict[str, Callable[[Path, set[str]], list[Table]]] = {
            "image": prove_image,
            "viscript": prove_viscript,
            "mesh": prove_mesh,
            "services": prove_services,
            "board": partial(prove_board, cuts, seed),
        }
        tables = provers[subject](scratch, set(only or PARTS[subject]))
    rows = [row for table in tables for row in table.rows]
    failed = sum(len(table.failed) for table in tables)
    missed = sum(row.aim and not row.ok for row in rows)
    click.echo(f"\n{len(rows) - failed} of {len(rows)} rows hold, {failed} fail; {missed} aims missed")
    sys.exit(1 if failed else 0)


def prove_image(scratch: Path, parts: set[str]) -> list[Table]:
    from tests.proofs import image

    with built_image(scratch) as (run, path):
        return image.prove(run, path, scratch, parts)


def prove_board(cuts: int, seed: int | None, scratch: Path, parts: set[str]) -> list[Table]:
    with built_image(scratch) as (_, path):
        return board.prove(path, scratch, parts, cuts, seed)


@contextmanager
def built_image(scratch: Path) -> Iterator[tuple[Runner, Path]]:
    """Built first where there is none."""
    with (scratch / "prove.log").open("w") as log:
        run = Runner(log, read_recipe().epoch)
        install_tools(run, BOOT)
        if not any((TREE / "dist").glob("*.img*")):
            click.echo("no image yet: building one")
            subprocess.run([TREE / "image/build"], check=True, timeout=BUILD_DEADLINE_S)
        yield run, find_image(run, TREE / "dist")


def prove_viscript(scratch: Path, parts: set[str]) -> list[Table]:
    from tests.proofs import viscript

    return viscript.prove(scratch, parts)


def prove_mesh(scratch: Path, parts: set[str]) -> list[Table]:
    from tests.proofs import mesh

    return mesh.prove(scratch, parts)


def prove_services(_scratch: Path, parts: set[str]) -> list[Table]:
    return services.prove(parts)


if __name__ == "__main__":
    try:
        main(prog_name="tests/prove")
    except ImageError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(1)
