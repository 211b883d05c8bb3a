"""Set-up from the first step to the last. First all that can fail without touching anything, then files, then secrets.

    read, check, plan          a wrong file ends here: the board stays with what was applied before, or its defaults
    write files, identity      each whole or not at all; the same again does no harm
    state                      from here on these files count as applied
    blank the secrets          on the boot partition, in place
    sums                       from here on set-up has nothing to do

Where the data partition is RAM, nothing is blanked: the next boot could not know the secrets any more.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec

from skywire_board.boards import Board
from skywire_board.errors import SetupError
from skywire_board.setup import files as door
from skywire_board.setup.card import Card, forget_cached
from skywire_board.setup.plan import BOARD, File, Plan, plan
from skywire_board.setup.programs import Identity
from skywire_board.setup.sources import Source, lay_over, parse, read_files
from skywire_board.setup.state import State, applied, blanked, is_applied, sum_lines

log = logging.getLogger("skywire_board.setup")

STATE = "/data/setup/applied.json"
SUMS = "/data/setup/applied.sums"
FAULT = "/run/skywire/setup-fault"
DATA_FAULT = "/run/skywire/data-fault"
KEYS_NOTES = "/run/skywire/keys-notes"
"""What mount-data found in authorized_keys that is no key (skywire_board/claim/read-keys), or under a wrong name."""
REPORT = "skywire-error.txt"
SHOWN = "backslashreplace"
"""How what a file holds that is no text, such as half a surrogate pair, is written down."""


@dataclass(frozen=True, slots=True)
class Places:
    """Where things are: `root` is `/` and `boot` the mounted boot partition, whose bytes `card` overwrites."""

    root: Path
    boot: Path
    card: Card
    board: Board
    identity: Identity
    board_changed: Callable[[], None]

    def at(self, path: str) -> Path:
        return door.under(self.root, path)


def apply(places: Places) -> list[str]:
    """Carries out what the boot partition says; what a person should know. SetupError: nothing of it was."""
    try:
        places.identity.clean_up()
        notes = _apply(places)
    except SetupError as error:
        places.identity.expect_stand_in()
        told = f"{error}\nNothing of these settings was applied. Mend the file and start the board again.\n"
        _tell(places, told + _as_notes(_keys_notes(places)))
        places.at(FAULT).write_text(f"{error}\n", errors=SHOWN)
        raise
    places.at(FAULT).unlink(missing_ok=True)
    notes += _keys_notes(places)
    _tell(places, _as_notes(notes))
    return notes


def _apply(places: Places) -> list[str]:
    found = read_files(places.boot)
    state = read_state(places)
    if not is_applied(state, found):
        sources = [parse(name, data, places.board) for name, data in found.items()]
        wanted = plan(lay_over(sources), state.keys, state.written)
        _settle(places, wanted, sources)
        state = _carry_out(places, wanted, sources, state)
    door.set_kernel_name(places.root, door.lay_names(places.root))
    places.identity.accept()
    if not places.at(DATA_FAULT).exists():
        _blank(places, state, found)
    return list(state.notes)


def _settle(places: Places, wanted: Plan, sources: list[Source]) -> None:
    """All that can fail and touches nothing of the board."""
    for source in sources:
        if source.spans:
            places.card.check(source.name, source.data)
    if wanted.identity is not None:
        places.identity.prepare(wanted.identity)


def _carry_out(places: Places, wanted: Plan, sources: list[Source], state: State) -> State:
    changed = [file.path for file in wanted.files if door.write(places.root, file)]
    if wanted.identity is not None:
        places.identity.take()
    for path in wanted.removed:
        door.remove(places.root, path, state.written[path])
    files = tuple(applied(one.name, one.data, one.spans) for one in sources)
    written = {file.path: file.digest for file in wanted.files if not file.stays}
    new = State(files, written, dict(wanted.keys), wanted.notes)
    door.write(places.root, File(STATE, msgspec.json.encode(new).decode(), 0o600))
    log.info("settings of the boot partition applied: %s", ", ".join(changed) or "nothing changed")
    if BOARD in changed or BOARD in wanted.removed:
        places.board_changed()
    return new


def _blank(places: Places, state: State, found: dict[str, bytes]) -> None:
    after = blanked(state, found)
    for name, data in after.items():
        if places.card.overwrite(name, found[name], data) if data != found[name] else False:
            forget_cached(places.boot / name)
            log.info("secrets in '%s' were taken and overwritten on the card", name)
    if _keys_notes(places):
        after |= {Path(KEYS_NOTES).name: places.at(KEYS_NOTES).read_bytes()}
    door.write(places.root, File(SUMS, sum_lines(after), 0o600))


def read_state(places: Places) -> State:
    """What was applied last; nothing, where that is not known (then all is done again)."""
    try:
        return msgspec.json.decode(places.at(STATE).read_bytes(), type=State)
    except (OSError, msgspec.DecodeError):
        return State()


def _keys_notes(places: Places) -> list[str]:
    try:
        return places.at(KEYS_NOTES).read_text(errors=SHOWN).splitlines()
    except FileNotFoundError:
        return []


def _as_notes(notes: list[str]) -> str:
    return "".join(f"note: {note}\n" for note in notes)


def _tell(places: Places, text: str) -> None:
    """Into the file beside skywire.yaml, in place; a card without that file is told nothing."""
    try:
        old = places.card.read(REPORT)
        if not old:
            log.warning("there is no '%s' on the boot partition to write to", REPORT)
            return
        new = text.encode(errors=SHOWN).replace(b"\n", b"\r\n")[: len(old) - 1].ljust(len(old) - 1) + b"\n"
        if places.card.overwrite(REPORT, old, new):
            forget_cached(places.boot / REPORT)
    except SetupError as error:
        log.warning("'%s' could not be written: %s", REPORT, error)


def check(folder: Path, board: Board) -> Plan:
    """What the files of a folder would lead to on `board`; SetupError as the board would say it."""
    return plan(lay_over([parse(name, data, board) for name, data in read_files(folder).items()]), {}, {})
