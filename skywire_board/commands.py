"""The commands of a person: what boards there are, and whether an override file is right."""

import json
from collections.abc import Callable
from pathlib import Path

import click
import msgspec

from skywire_board.boards import BOARDS_PATH, Board, find_board, read_boards, read_compatible
from skywire_board.config import CONFIG_PATH, read_config
from skywire_board.patterns import PROGRAMS

TREE_BOARDS = Path(__file__).parent.parent / "image" / "boards"
FOLDER = BOARDS_PATH if BOARDS_PATH.is_dir() else TREE_BOARDS


@click.group()
def cli() -> None:
    """The supervisor of a Skywire board: lights, button, health."""


@cli.command(name="run")
@click.option("--boards", default=BOARDS_PATH, help="Folder of the board files.", show_default=True)
@click.option("--config", default=CONFIG_PATH, help="The owner's overrides; may be missing.", show_default=True)
@click.option("--socket", default="/run/viscript/api.sock", help="Viscript's API socket.", show_default=True)
@click.option("--data-fault", default="/run/skywire/data-fault", help="Tells of bad data.", show_default=True)
@click.option("--systemctl", default="systemctl", help="Program to ask systemd with.", show_default=True)
def run_help(**_: object) -> None:
    """Supervise until told to stop (what skywire-board.service does)."""


def _board_options(command: Callable[..., None]) -> Callable[..., None]:
    folder = click.option(
        "--boards",
        "folder",
        type=click.Path(exists=True, file_okay=False, path_type=Path),
        default=FOLDER,
        help="Folder of the board files.",
    )
    return folder(click.option("--json", "as_json", is_flag=True, help="Print JSON.")(command))


@cli.command(name="boards")
@_board_options
def list_boards(folder: Path, *, as_json: bool) -> None:
    """List the boards, their chips and pins; the one this machine is gets a star."""
    boards = read_boards(folder)
    here = find_board(folder, read_compatible())
    if as_json:
        click.echo(json.dumps([msgspec.to_builtins(board) for board in boards], indent=2))
        return
    rows: list[tuple[str, ...]] = [("", "board", "chip", "status", "activity", "button", "console")]
    rows += [_row(board, star="*" if board == here else "") for board in boards]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        click.echo("  ".join(word.ljust(width) for word, width in zip(row, widths, strict=True)).rstrip())


def _row(board: Board, star: str) -> tuple[str, ...]:
    gpio = board.gpio
    if gpio is None:
        return (star, board.name, "-", "-", "-", "-", board.console)
    pins = ["-" if pin is None else str(pin) for pin in (gpio.status_led, gpio.activity_led, gpio.button)]
    return (star, board.name, gpio.chip, *pins, board.console)


@cli.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def patterns(*, as_json: bool) -> None:
    """List what the status light can say."""
    rows = [(pattern.value, program.look, program.text) for pattern, program in PROGRAMS.items()]
    if as_json:
        keys = ("pattern", "look", "text")
        click.echo(json.dumps([dict(zip(keys, row, strict=True)) for row in rows], indent=2, ensure_ascii=False))
        return
    click.echo(f"{'pattern':<15}{'status light':<38}means")
    for name, look, text in rows:
        click.echo(f"{name:<15}{look:<38}{text}")


@cli.command(name="check-config")
@click.argument("path", type=click.Path(dir_okay=False, path_type=Path), default=CONFIG_PATH)
@click.option("--board", "word", help="Device-tree compatible of the board, if it is not this machine.")
@_board_options
def check_config(path: Path, word: str | None, folder: Path, *, as_json: bool) -> None:
    """Say whether the overrides in PATH are right, and what they make of the board."""
    board = read_config(find_board(folder, [word] if word else read_compatible()), path)
    if as_json:
        click.echo(json.dumps(msgspec.to_builtins(board), indent=2))
        return
    click.echo(f"{path}: {'right' if path.exists() else 'not there, which is right too'}")
    click.echo("  ".join(_row(board, star=board.name)[1:]))
