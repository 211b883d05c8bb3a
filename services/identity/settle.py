"""Puts the identity that was laid beside the present one into its place; at boot, before anything uses either.

What the old identity kept (its network, routes, messages) is set aside under its id, and what the new one kept here
before comes back: nobody ever works with another's. Each step is one rename and looks first at what is done already, so
after a power cut it is done again from the start. Where a seed cannot be read, or the card takes a step not, the board
stays who it was: what was changed over is changed back, and the waiting one is set aside.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from services import keys
from services.identity.door import NEXT
from services.identity.errors import DoorError
from services.secrecy import SECRET_BYTES, Secret
from viscript.durable import sync_folder

KEPT_APART = ("node", "manager", "messenger")
"""Folders of the mesh's data that belong to one identity."""

STAND_IN = "stand-in"
"""Lies beside a seed that was made for want of another (skywire_board.setup), until another is in its place."""

ID_LETTERS = 12


def settle(folder: Path, mesh: Path) -> str:
    """The node id that this board has from now on. Raises IdentityError, also when nothing waits; OSError when all was
    done, and may not be on the disk.
    """
    place = folder / "seed"
    try:
        new = _read(folder / NEXT)
        old = _read(place) if place.exists() else None
    except DoorError:
        _set_aside(folder)
        raise
    try:
        if old is not None and old != new:
            _change_all(mesh, _mark(old), _mark(new))
            _keep(place, folder / f"before-{_mark(old)}")
        (folder / NEXT).replace(place)
    except OSError as error:
        if old is not None and old != new:
            _change_back(mesh, _mark(old), _mark(new))
        with contextlib.suppress(OSError):
            _set_aside(folder)
        why = f"'{error.filename or folder}': {error.strerror}"
        raise DoorError(f"the restored identity cannot take its place: {why} (mend that, and restore again)") from error
    for name in (f"before-{_mark(new)}", STAND_IN):
        (folder / name).unlink(missing_ok=True)
    sync_folder(folder)
    return keys.Identity(new).node_id


def _set_aside(folder: Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        (folder / NEXT).replace(folder / f"{NEXT}.bad")
        sync_folder(folder)


def _change_all(mesh: Path, old: str, new: str) -> None:
    for name in KEPT_APART:
        _change_over(mesh / name, old, new)
    sync_folder(mesh)


def _change_back(mesh: Path, old: str, new: str) -> None:
    """What was changed over has left the old one's folder aside; as far as the card takes it."""
    for place in (mesh / name for name in KEPT_APART):
        aside, back = (place.with_name(f"{place.name}.before-{mark}") for mark in (old, new))
        with contextlib.suppress(OSError):
            if aside.exists():
                if place.exists() and any(place.iterdir()):
                    place.rename(back)
                elif place.exists():
                    place.rmdir()
                aside.rename(place)
    with contextlib.suppress(OSError):
        sync_folder(mesh)


def _change_over(place: Path, old: str, new: str) -> None:
    aside, back = (place.with_name(f"{place.name}.before-{mark}") for mark in (old, new))
    if place.exists() and not aside.exists():
        status = place.stat()
        place.rename(aside)
        if not back.exists():
            place.mkdir(mode=0o700)
            os.chown(place, status.st_uid, status.st_gid)
    if back.exists():
        if place.exists():
            place.rmdir()  # as tmpfiles made it after a cut; an error where something is in it
        back.rename(place)


def _keep(seed: Path, beside: Path) -> None:
    if not beside.exists():
        os.link(seed, beside, follow_symlinks=False)
        sync_folder(beside.parent)


def _mark(seed: Secret) -> str:
    return keys.Identity(seed).node_id[:ID_LETTERS]


def _read(path: Path) -> Secret:
    """Root's look at a file that belongs to the node's user, in a folder that only this user may write to."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        raise DoorError(f"cannot read '{path}': {error.strerror}") from None
    try:
        data = os.read(file, SECRET_BYTES + 1)
    except OSError as error:
        raise DoorError(f"cannot read '{path}': {error.strerror}") from None
    finally:
        os.close(file)
    if len(data) != SECRET_BYTES or not any(data):
        raise DoorError(f"'{path}' holds no seed of {SECRET_BYTES} bytes: remove it, and restore from the words again")
    return Secret(data)
