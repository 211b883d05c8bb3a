"""`manager update …`: roll an update out to all boards, look at it, steer it. What each needs is imported in it."""

# ruff: noqa: PLC0415, T201 (a command line imports what the command needs, and speaks)
from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from services.app.commands import JSON
from services.manager.telling import tell

if TYPE_CHECKING:
    from services.updates.sending import OnProgress


@click.group()
def update() -> None:
    """Roll an update out to the boards of the network."""


@update.command()
@click.argument("source", metavar="[FILE|URL|-]", required=False)
@click.option("--percent", type=click.IntRange(1, 100), help="So many per cent of the boards at once; else one by one.")
@click.option("--nodes", metavar="A,B,…", default="", help="These, in this order; managers come last in any case.")
@click.option("--older", is_flag=True, help="Boards may take a version below the one that they run.")
@click.option(
    "--unsafe-failures",
    "failures",
    metavar="N",
    default=0,
    type=click.IntRange(0),
    help="Go on though N boards failed; else the first failure stops it.",
)
@JSON
def start(source: str | None, percent: int | None, nodes: str, older: bool, failures: int, as_json: bool) -> None:
    """Begin: FILE is a bundle; without one, the one that was rolled out last.

    \b
    manager update start skywire-board-arm64.raucb
    manager update start skywire-board-arm64.raucb --percent 25
    manager update start --nodes kitchen,attic
    """
    from services.updates import tables
    from services.updates.api_words import StartUpdate, Update
    from services.updates.sending import send

    upload = send(source, _shown() if not as_json else lambda _sent, _of: None) if source else ""
    named = tuple(name for name in nodes.split(",") if name)
    tell(StartUpdate(upload, percent, named, failures, older), Update, as_json, tables.update)


@update.command()
@JSON
def status(as_json: bool) -> None:
    """Which board runs what, and how far the roll-out is.

    \b
    manager update status
    manager update status --json
    """
    _steer_or_look("", as_json)


@update.command()
@JSON
def pause(as_json: bool) -> None:
    """Tell no more boards; those that were told go on.

    \b
    manager update pause
    """
    _steer_or_look("pause", as_json)


@update.command()
@JSON
def resume(as_json: bool) -> None:
    """Go on after a pause.

    \b
    manager update resume
    """
    _steer_or_look("resume", as_json)


@update.command()
@JSON
def abort(as_json: bool) -> None:
    """End it: no more boards are told, those that were told go on.

    \b
    manager update abort
    """
    _steer_or_look("abort", as_json)


def _steer_or_look(act: str, as_json: bool) -> None:
    from services.updates import tables
    from services.updates.api_words import GetUpdate, SteerUpdate, Update

    request = SteerUpdate(act) if act else GetUpdate()  # type: ignore[arg-type]  # one of its three
    tell(request, Update, as_json, tables.update)


def _shown() -> OnProgress:
    """On a terminal: how much is stored."""
    if not sys.stderr.isatty():
        return lambda _sent, _of: None

    def show(sent: int, of: int) -> None:
        if sent == of or sent % (1 << 20) == 0:
            whole = f" of {of / 1e6:.0f}" if of else ""
            print(f"\rstored {sent / 1e6:.0f}{whole} MB ", end="" if sent != of else "\n", file=sys.stderr, flush=True)

    return show
