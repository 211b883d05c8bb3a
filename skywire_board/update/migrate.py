"""Brings the data to what this version knows, before anything uses it. `schema` says how; here names are moved.

schema.json                 {"version":1}
.migrating/                 copies that a migration works on
.migrating/journal.json     all of them are right: the moves that are under way
before/<version>/           what was there before the migration from that version, and its list of paths
after/<version>/            what a newer system had made of it, put aside after a rollback
"""

import contextlib
import os
import shutil
from pathlib import Path

import msgspec

from skywire_board.errors import UpdateError
from skywire_board.update.schema import (
    AFTER,
    BEFORE,
    FIRST,
    MIGRATIONS,
    STAGE,
    STAMP,
    Journal,
    Migration,
    check_movable,
    forward,
    known_version,
    swap_back,
    swap_forward,
)
from viscript.durable import sync_folder, write_whole

DATA = Path("/data")
JOURNAL = f"{STAGE}/journal.json"
PATHS = "paths.json"
DAMAGE = Path("/run/skywire/slot-damage")
WRITABLE = Path("/usr/lib/skywire/writable")  # what mount-data binds; lines of: type, mode, owner, path


class Stamp(msgspec.Struct, frozen=True):
    """What stands in schema.json."""

    version: int


def migrate_card(
    data: Path = DATA,
    damage: Path = DAMAGE,
    writable: Path = WRITABLE,
    migrations: tuple[Migration, ...] = MIGRATIONS,
) -> str:
    """Migrates the card's data; where that fails, the reason is left for the unit that takes a slot back."""
    try:
        check_movable(migrations, read_bound(writable))
        return migrate(data, migrations)
    except (OSError, UpdateError) as error:
        text = f"the data could not be migrated: {error}"
        with contextlib.suppress(OSError):
            damage.write_text(text)
        raise UpdateError(text) from error


def migrate(data: Path, migrations: tuple[Migration, ...] = MIGRATIONS) -> str:
    """Finishes what a power cut interrupted, then goes forward or back; says what was done."""
    _finish(data)
    found, known = read_version(data), known_version(migrations)
    if found < known:
        for migration in forward(found, migrations):
            _go_forward(data, migration)
    elif found > known:
        _go_back(data, found, known)
    elif not (data / STAMP).exists():
        _stamp(data, known)
    return f"data of version {found}" + (f", now {known}" if found != known else "")


def read_bound(writable: Path) -> frozenset[str]:
    """The paths of the data that are mounted on their places in the root by now, relative to the data's folder."""
    lines = [line.split() for line in writable.read_text().splitlines()]
    return frozenset(words[3].lstrip("/") for words in lines if len(words) == 4 and words[0] in ("d", "f"))


def read_version(data: Path) -> int:
    """Data without a stamp is of the first version; UpdateError for a stamp that is damaged."""
    try:
        return msgspec.json.decode((data / STAMP).read_bytes(), type=Stamp).version
    except FileNotFoundError:
        return FIRST
    except msgspec.DecodeError as error:
        raise UpdateError(f"'{data / STAMP}' does not tell the version of the data: {error}") from error


def _go_forward(data: Path, migration: Migration) -> None:
    stage, kept = data / STAGE, data / BEFORE / str(migration.to - 1)
    for path in migration.touches:
        if os.path.lexists(data / path):
            _copy(data / path, stage / path)
    stage.mkdir(exist_ok=True)
    try:
        migration.run(stage)
    except Exception as error:  # whatever it met in data of an earlier version is a reason to go back
        raise UpdateError(f"the step to version {migration.to} failed: {error!r}") from error
    shutil.rmtree(kept, ignore_errors=True)
    write_whole(kept / PATHS, msgspec.json.encode(migration.touches))
    os.sync()  # the copies, before the journal says that they are right
    _enter(data, swap_forward(migration, lambda name: os.path.lexists(data / name)))


def _go_back(data: Path, found: int, known: int) -> None:
    kept = {}
    for number in range(known, found):
        with contextlib.suppress(OSError, msgspec.DecodeError):
            kept[number] = msgspec.json.decode((data / BEFORE / str(number) / PATHS).read_bytes(), type=tuple[str, ...])
    journal = swap_back(found, known, kept, lambda name: os.path.lexists(data / name))
    shutil.rmtree(data / AFTER / str(found), ignore_errors=True)
    _enter(data, journal)


def _enter(data: Path, journal: Journal) -> None:
    """From here on the moves are made, now or at the next boot."""
    write_whole(data / JOURNAL, msgspec.json.encode(journal))
    _finish(data)


def _finish(data: Path) -> None:
    """Makes the moves of a journal that are not made yet, then stamps the data; drops copies without a journal."""
    try:
        journal = msgspec.json.decode((data / JOURNAL).read_bytes(), type=Journal)
    except (OSError, msgspec.DecodeError):
        shutil.rmtree(data / STAGE, ignore_errors=True)
        return
    for move in journal.moves:
        source, target = data / move.source, data / move.target
        if os.path.lexists(source) and not os.path.lexists(target):
            target.parent.mkdir(parents=True, exist_ok=True)
            source.rename(target)
            sync_folder(source.parent)
            sync_folder(target.parent)
    _stamp(data, journal.version)
    (data / JOURNAL).unlink()
    sync_folder(data / STAGE)
    shutil.rmtree(data / STAGE, ignore_errors=True)


def _copy(source: Path, target: Path) -> None:
    """A file, link or folder with owners, modes and times."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir() and not source.is_symlink():
        shutil.copytree(source, target, symlinks=True, copy_function=_copy_file)
        _like(source, target)
        for folder, names, _ in os.walk(source):
            for name in names:
                path = Path(folder, name)
                _like(path, target / path.relative_to(source))
    else:
        _copy_file(str(source), str(target))


def _copy_file(source: str, target: str) -> None:
    shutil.copy2(source, target, follow_symlinks=False)
    _like(Path(source), Path(target))


def _like(source: Path, target: Path) -> None:
    seen = source.lstat()
    os.chown(target, seen.st_uid, seen.st_gid, follow_symlinks=False)


def _stamp(data: Path, version: int) -> None:
    write_whole(data / STAMP, msgspec.json.encode(Stamp(version)) + b"\n")
