"""`show` the boot state, or `mark-good` the slot that runs. Run by the one unit that may touch the card."""

import json
import sys
from dataclasses import asdict
from pathlib import Path

import click

from skywire_board.bootstate.card import read_state, write_state
from skywire_board.bootstate.codec import SLOTS, BootState, mark_good, read_slot
from skywire_board.errors import BoardError, BootStateError

CARD = Path("/run/skywire/card")  # the initramfs links it to the card it booted from
CMDLINE = Path("/proc/cmdline")
DEVICE = click.option(
    "--device", type=click.Path(path_type=Path), default=CARD, show_default=True, help="Card or image file."
)


@click.group()
def cli() -> None:
    """The boot state of the card."""


@cli.command()
@DEVICE
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def show(device: Path, *, as_json: bool) -> None:
    """Print the order of the slots and the tries each has left."""
    state = read_state(device).state
    if as_json:
        click.echo(json.dumps(None if state is None else asdict(state)))
    else:
        click.echo("no boot state yet: the boot loader tries A" if state is None else _text(state))


@cli.command(name="mark-good")
@DEVICE
@click.option("--slot", type=click.Choice(SLOTS), help="The slot that runs (default: sky.slot= of the kernel).")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def mark(device: Path, slot: str | None, *, as_json: bool) -> None:
    """Give the running slot all its tries back. Writes nothing when it has them."""
    name = slot or read_slot(CMDLINE.read_text())
    if name not in SLOTS:
        raise BootStateError(f"sky.slot of the kernel command line is '{name}', expected A or B (say --slot)")
    old = read_state(device).state
    new = mark_good(old or BootState(), name)
    written = new != old
    if written:
        new = write_state(device, new)
    if as_json:
        click.echo(json.dumps({**asdict(new), "written": written}))
    else:
        click.echo(f"slot {name} is good{'' if written else ' already'}; {_text(new)}")


def _text(state: BootState) -> str:
    return f"order {state.order}, tries left A {state.a_left}, B {state.b_left} (write {state.seq})"


def main() -> None:
    """Entry point. Exit codes: 0 done, 1 failed, 2 asked wrongly."""
    try:
        cli.main(prog_name="python -m skywire_board.bootstate")
    except BoardError as error:
        click.echo(f"bootstate: {error}", err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
