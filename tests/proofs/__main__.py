"""The command line of `tests/prove`. Exit code 0: every row holds (a missed aim is printed, no more); else 1."""

import sys
import tempfile
from pathlib import Path

import click

from image.emulator.board import end_by_interrupt
from image.emulator.card import find_image
from image.errors import ImageError
from image.recipe import read_recipe
from image.run import Runner
from image.tools import BOOT, install_tools

TREE = Path(__file__).parents[2]


@click.command()
@click.argument("subject", type=click.Choice(["image"]))
@click.option(
    "--only", multiple=True, type=click.Choice(["build", "virt", "raspi3b", "faults", "twice"]), help="Some rows."
)
@click.option("--keep", type=click.Path(path_type=Path), help="Keep cards and logs in this folder.")
def main(subject: str, only: tuple[str, ...], keep: Path | None) -> None:
    """Show what is claimed of SUBJECT, and what was seen of it.

    \b
    Example:
      tests/prove image
      tests/prove image --only virt
    """
    from tests.proofs import image as subject_image

    end_by_interrupt()
    with tempfile.TemporaryDirectory(prefix="skywire-prove-") as folder:
        scratch = keep or Path(folder)
        scratch.mkdir(parents=True, exist_ok=True)
        with (scratch / "prove.log").open("w") as log:
            run = Runner(log, read_recipe().epoch)
            install_tools(run, BOOT)
            tables = subject_image.prove(run, find_image(run, TREE / "dist"), scratch, set(only))
    rows = [row for table in tables for row in table.rows]
    failed = sum(len(table.failed) for table in tables)
    missed = sum(row.aim and not row.ok for row in rows)
    click.echo(f"\n{len(rows) - failed} of {len(rows)} rows hold, {failed} fail; {missed} aims missed")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    try:
        main(prog_name="tests/prove")
    except ImageError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(1)
