"""`python -m skywire_board.setup`: `apply` is what skywire-setup.service does at boot, `check` looks at files."""

import logging
import sys
from pathlib import Path

import click

from skywire_board.boards import BOARDS_PATH, find_board, read_compatible
from skywire_board.errors import BoardError

TREE_BOARDS = Path(__file__).parents[2] / "image" / "boards"
FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def cli() -> None:
    """The settings on the boot partition: skywire.yaml, and what Raspberry Pi Imager wrote."""


@cli.command()
@click.option("--boot", type=FOLDER, default="/boot/firmware", show_default=True, help="The mounted boot partition.")
def apply(boot: Path) -> None:
    """Carry out what the boot partition says, and overwrite its secrets (what skywire-setup.service does)."""
    from skywire_board.setup import apply as setup
    from skywire_board.setup.card import Card, find_partition
    from skywire_board.setup.programs import Identity, restart_supervisor

    board = find_board(BOARDS_PATH, read_compatible())
    card = Card(find_partition(boot))
    setup.apply(setup.Places(Path("/"), boot, card, board, Identity(), restart_supervisor))


@cli.command()
@click.argument("folder", type=FOLDER)
@click.option("--board", "word", default="raspberrypi,4-model-b", show_default=True, help="Device-tree compatible.")
def check(folder: Path, word: str) -> None:
    """Say whether the settings in FOLDER are right, and which files they would become.

    \b
    Example:
      image/python -m skywire_board.setup check /media/SKYBOOT
    """
    from skywire_board.setup.apply import check as look

    boards = BOARDS_PATH if BOARDS_PATH.is_dir() else TREE_BOARDS
    found = look(folder, find_board(boards, [word]))
    for file in found.files:
        click.echo(f"{file.path}{f' -> {file.text}' if file.is_link else ''}")
    for note in found.notes:
        click.echo(f"note: {note}")


def main() -> None:
    """Entry point. Exit codes: 0 done, 1 failed, 2 asked wrongly."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    try:
        cli.main(prog_name="python -m skywire_board.setup")
    except BoardError as error:
        click.echo(f"<3>{error}" if sys.argv[1:2] == ["apply"] else f"error: {error}", err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
