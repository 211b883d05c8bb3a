"""`show` the boot state, or `mark-good` the slot that runs. Run by the one unit that may touch the card."""

import json
import sys
from dataclasses import asdict
from pathlib import Path

import click

from skywire_board.bootstate.card import read_state, write_state
from skywire_board.bootstate.codec import SLOTS, BootState, mark_good, read_cmdline
from skywire_board.errors import BoardError, BootStateError

CMDLINE = Path("/proc/cmdline")


@click.group()
def cli() -> None:
    """The boot state of the card."""


@cli.command()
@click.option(
    "--device", type=click.Path(path_type=Path), help="Card or image file (default: sky.card= of the kernel)."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def show(device: Path | None, *, as_json: bool) -> None:
    """Print the order of the slots and the tries each has left."""
    state = read_state(_device(device)).state
    if as_json:
        click.echo(json.dumps(None if state is None else asdict(state)))
    else:
        click.echo("no boot state yet: the boot loader tries A" if state is None else _text(state))


@cli.command(name="mark-good")
@click.option(
    "--device", type=click.Path(path_type=Path), help="Card or image file (default: sky.card= of the kernel)."
)
@click.option("--slot", type=click.Choice(SLOTS), help="The slot that runs (default: sky.slot= of the kernel).")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def mark(device: Path | None, slot: str | None, *, as_json: bool) -> None:
    """Give the running slot all its tries back. Writes nothing when it has them."""
    path, name = _device(device), slot or _told("slot", "--slot A")
    if name not in SLOTS:
        raise BootStateError(f"sky.slot is '{name}', expected A or B (say --slot)")
    old = read_state(path).state
    new = mark_good(old or BootState(), name)
    written = new != old
    if written:
        new = write_state(path, new)
    if as_json:
        click.echo(json.dumps({**asdict(new), "written": written}))
    else:
        click.echo(f"slot {name} is good{'' if written else ' already'}; {_text(new)}")


def _text(state: BootState) -> str:
    return f"order {state.order}, tries left A {state.a_left}, B {state.b_left} (write {state.seq})"


def _device(device: Path | None) -> Path:
    return device or Path(_told("card", "--device /dev/mmcblk0"))


def _told(key: str, option: str) -> str:
    told = read_cmdline(CMDLINE.read_text())
    if key not in told:
        raise BootStateError(f"the kernel command line has no sky.{key}= (say {option})")
    return told[key]


def main() -> None:
    """Entry point. Exit codes: 0 done, 1 failed, 2 asked wrongly."""
    try:
        cli.main(prog_name="python -m skywire_board.bootstate")
    except BoardError as error:
        click.echo(f"bootstate: {error}", err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
