"""Which steps bring the data to what this version knows, pure.

The data partition outlives a slot, so it has a version of its own. A migration changes copies of the paths it touches;
then names are swapped, and what was there is kept under /data/before/<version>. A system that knows less, as after a
rollback, puts that back, and keeps what the newer one had made of it under /data/after/<version>. All swaps go through
one journal of moves, so that a power cut between any two of them is mended at the next boot, by any version.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec

from skywire_board.errors import UpdateError

BEFORE, AFTER, STAGE, STAMP = "before", "after", ".migrating", "schema.json"


@dataclass(frozen=True, slots=True)
class Migration:
    """Brings data of version `to` - 1 to `to`: `run` changes copies of `touches`, below the folder it is given.

    What the initramfs has bound to its place by then (etc/skywire, …: usr/lib/skywire/writable) cannot be moved away
    from there; what lies inside such a folder can.
    """

    to: int
    touches: tuple[str, ...]
    run: Callable[[Path], None]


MIGRATIONS: tuple[Migration, ...] = ()
"""In their order, without a gap. Version 1 is what the first image with updates wrote."""

FIRST = 1


class Move(msgspec.Struct, frozen=True, array_like=True):
    """A name to be changed, both relative to the data's folder; done when there is something at `target`."""

    source: str
    target: str


class Journal(msgspec.Struct, frozen=True):
    """Moves to be made in this order, and the version that the data has then."""

    moves: tuple[Move, ...]
    version: int


def check_movable(migrations: tuple[Migration, ...], bound: frozenset[str]) -> None:
    """UpdateError for a migration that touches one of the paths in `bound`, or a folder around one: what is mounted
    would go with the old copy, and the running system would go on writing there.
    """
    for migration in migrations:
        for path in migration.touches:
            held = sorted(name for name in bound if f"{name}/".startswith(f"{path}/"))
            if held:
                raise UpdateError(
                    f"the migration to version {migration.to} touches '{path}', and '{held[0]}' is bound to its place "
                    f"(let it touch what is inside: '{held[0]}/…')"
                )


def known_version(migrations: tuple[Migration, ...] = MIGRATIONS) -> int:
    """The version that this system reads and writes."""
    return migrations[-1].to if migrations else FIRST


def forward(version: int, migrations: tuple[Migration, ...]) -> list[Migration]:
    """What is to be run on data of `version`, in this order."""
    return [migration for migration in migrations if migration.to > version]


def swap_forward(migration: Migration, there: Callable[[str], bool]) -> Journal:
    """Puts the changed copies in place of what they were made of. `there`: whether something has that name now."""
    kept = f"{BEFORE}/{migration.to - 1}"
    moves = [Move(path, f"{kept}/{path}") for path in migration.touches if there(path)]
    moves += [Move(f"{STAGE}/{path}", path) for path in migration.touches if there(f"{STAGE}/{path}")]
    return Journal(tuple(moves), migration.to)


def swap_back(version: int, known: int, kept: dict[int, tuple[str, ...]], there: Callable[[str], bool]) -> Journal:
    """Puts back what was kept when the data left version `known`; UpdateError when not all of that was kept.

    `kept`: version → the paths that its migration touched. Of a path that several touched, the oldest copy comes back.
    """
    lacking = [number for number in range(known, version) if number not in kept]
    if lacking:
        raise UpdateError(
            f"the data is of version {version}, this system knows {known}, and no copy of version {lacking[0]} was kept"
        )
    oldest: dict[str, int] = {}
    for number in range(known, version):
        for path in kept[number]:
            oldest.setdefault(path, number)
    moves = [Move(path, f"{AFTER}/{version}/{path}") for path in oldest if there(path)]
    places = {path: f"{BEFORE}/{number}/{path}" for path, number in oldest.items()}
    moves += [Move(place, path) for path, place in places.items() if there(place)]
    return Journal(tuple(moves), known)
