"""The commands of a person: what boards there are, and whether an override file is right."""

import json
import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path

import click
import msgspec

from skywire_board.boards import BOARDS_PATH, Board, find_board, read_boards, read_compatible
from skywire_board.config import CONFIG_PATH, read_config
from skywire_board.patterns import CAUSES, PROGRAMS
from skywire_board.presses import BUTTON

TREE_BOARDS = Path(__file__).parent.parent / "image" / "boards"
WIDTH, NAME, LOOK = 80, 16, 31
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
    """List what the status light can say, its faults, and what the button does."""
    rows = [(pattern.value, program.look, program.text) for pattern, program in PROGRAMS.items()]
    faults = [(cause.blinks, cause.title, cause.text) for cause in CAUSES]
    presses = [(act.value, how, text) for act, (how, text) in BUTTON.items()]
    if as_json:
        tables = {
            "patterns": _named(rows, "pattern", "look", "text"),
            "faults": _named(faults, "blinks", "title", "text"),
            "button": _named(presses, "act", "how", "text"),
        }
        click.echo(json.dumps(tables, indent=2, ensure_ascii=False))
        return
    _print_table(("light", "looks", "means"), [(name.replace("_", " "), look, text) for name, look, text in rows])
    _print_table(("fault", "cause", "do"), [(f"{blinks} flashes", title, text) for blinks, title, text in faults])
    _print_table(("button", "", "does"), [(how, "", text) for _, how, text in presses])


def _named(rows: Sequence[tuple[object, ...]], *keys: str) -> list[dict[str, object]]:
    return [dict(zip(keys, row, strict=True)) for row in rows]


def _print_table(head: tuple[str, str, str], rows: Sequence[tuple[str, str, str]]) -> None:
    """Three columns in 80; what the third has too much goes on below."""
    last = WIDTH - NAME - LOOK
    for name, look, text in (head, *rows):
        lines = textwrap.wrap(text, last) or [""]
        click.echo(f"{f'{name:<{NAME}}{look}':<{NAME + LOOK}}{lines[0]}".rstrip())
        for line in lines[1:]:
            click.echo(" " * (NAME + LOOK) + line)
    click.echo()


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
