"""What the units of updates run: `serve` the door, `note` this boot, `pass` or `fail` its trial, `migrate` the data,
`fill` the other slot.

No click here, whose import costs seconds on an emulated board; people have `update` in the viscript shell.
"""

import logging
import sys

from skywire_board.errors import BoardError

HELP = """\
usage: python -m skywire_board.update COMMAND

  serve      the update door (skywire-update.service, on its socket)
  note       write /run/skywire/boot.json (skywire-boot-note.service)
  pass       mark the running slot good; read all of it first, if it is on trial (skywire-mark-good.service)
  fail       mark the slot on trial bad (skywire-roll-back.service, which restarts the board)
  migrate    bring the data to what this version knows (skywire-migrate.service)
  fill       copy the running slot to the other one, if that holds nothing good (skywire-second-slot.service)"""


def main() -> None:
    """Entry point. Exit codes: 0 done, 1 failed, 2 asked wrongly."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    commands = {"serve": _serve, "note": _note, "pass": _pass, "fail": _fail, "migrate": _migrate, "fill": _fill}
    command = commands.get(sys.argv[1]) if len(sys.argv) == 2 else None
    if command is None:
        helped = sys.argv[1:] in ([], ["help"], ["--help"], ["-h"])
        print(HELP, file=sys.stdout if helped else sys.stderr)
        sys.exit(0 if helped else 2)
    try:
        said = command()
    except BoardError as error:
        print(f"update: {error}", file=sys.stderr)
        sys.exit(1)
    if said:
        print(said)


def _serve() -> str:
    import asyncio

    from skywire_board.update.installing import INCOMING
    from skywire_board.update.notes import Notes
    from skywire_board.update.rauc import Rauc
    from skywire_board.update.server import Door, given_listener

    listener, notes = given_listener(), Notes()
    (notes.folder / INCOMING).unlink(missing_ok=True)  # an upload that a power cut left

    async def serve() -> None:
        await Door(notes, Rauc()).serve(listener)

    asyncio.run(serve())
    return ""


def _note() -> str:
    from skywire_board.update.notes import Notes
    from skywire_board.update.trial import Places, note_boot

    return note_boot(Notes(), Places())


def _pass() -> str:
    from skywire_board.update.notes import Notes
    from skywire_board.update.trial import Places, pass_trial

    return pass_trial(Notes(), Places())


def _fail() -> str:
    from skywire_board.update.notes import Notes
    from skywire_board.update.trial import Places, ask_why, fail_trial

    places = Places()
    return fail_trial(Notes(), places, ask_why(places))


def _migrate() -> str:
    from skywire_board.update.migrate import migrate_card

    return migrate_card()


def _fill() -> str:
    from skywire_board.update.notes import Notes
    from skywire_board.update.second_slot import fill_second_slot
    from skywire_board.update.trial import Places

    return fill_second_slot(Notes(), Places())


if __name__ == "__main__":
    main()
