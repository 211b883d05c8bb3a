"""The commands of a person: are the settings in a folder right, and what would become of them?"""

from pathlib import Path

import click

from skywire_board.boards import BOARDS_PATH, find_board
from skywire_board.setup.apply import check as look

TREE_BOARDS = Path(__file__).parents[2] / "image" / "boards"


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def cli() -> None:
    """The settings on the boot partition: skywire.yaml, and what Raspberry Pi Imager wrote."""


@cli.command(name="apply")
@click.option("--boot", default="/boot/firmware", show_default=True, help="The mounted boot partition.")
def apply_help(**_: object) -> None:
    """Carry out what the boot partition says, and overwrite its secrets (what skywire-setup.service does)."""


@cli.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--board", "word", default="raspberrypi,4-model-b", show_default=True, help="Device-tree compatible.")
def check(folder: Path, word: str) -> None:
    """Say whether the settings in FOLDER are right, and which files they would become.

    \b
    Example:
      image/python -m skywire_board.setup check /media/SKYBOOT
    """
    boards = BOARDS_PATH if BOARDS_PATH.is_dir() else TREE_BOARDS
    found = look(folder, find_board(boards, [word]))
    for file in found.files:
        click.echo(f"{file.path}{f' -> {file.text}' if file.is_link else ''}")
    for note in found.notes:
        click.echo(f"note: {note}")
