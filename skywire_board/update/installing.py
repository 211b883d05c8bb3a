"""One installation, from what was asked to its end: settle what can be refused first, note it, then write the slot.

While the other slot is written it is bad, so that a cut at any point leaves the running one; RAUC makes it the first
with three tries when all of it is there.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from skywire_board.api_words import SOCKET as BOARD_SOCKET
from skywire_board.bootstate.codec import other
from skywire_board.errors import UpdateError
from skywire_board.logins import without_login
from skywire_board.update.model import BootNote, Bundle, Last, Trial
from skywire_board.update.notes import Notes
from skywire_board.update.rauc import Rauc
from skywire_board.update.settle import is_older
from skywire_board.update.words import Install, Installed

INCOMING = "incoming.raucb"
ROOM_LEFT = 32 << 20
CHUNK = 1 << 18
DATA_FAULT = Path("/run/skywire/data-fault")
COMPATIBLE = "skywire-board-arm64"

Tell = Callable[[int, str], None]


class Upload:
    """A bundle that comes over the connection: `size` bytes, or with 0 all until the sender ends its half."""

    def __init__(self, reader: asyncio.StreamReader, size: int) -> None:
        self.size, self.here = size, asyncio.Event()
        self._reader, self._seen = reader, 0

    async def read(self) -> bytes:
        """The next bytes; nothing, and `here` is set, when all are here. UpdateError for less than `size`."""
        chunk = await self._reader.read(min(CHUNK, self.size - self._seen) if self.size else CHUNK)
        self._seen += len(chunk)
        if self._seen < self.size and not chunk:
            raise UpdateError(f"the bundle ended after {self._seen} of {self.size} bytes (is the copy whole?)")
        if not chunk:
            self.here.set()
        return chunk


async def install(asked: Install, upload: Upload | None, notes: Notes, rauc: Rauc, tell: Tell) -> Installed:
    """Installs what was asked for, or is sent; UpdateError says why not, and then the running slot is untouched."""
    note = check_board(notes)
    with contextlib.ExitStack() as held:
        source = await _fetch(asked.source, upload, notes.folder, held, tell)
        tell(0, "checking the bundle")
        await rauc.start()
        try:
            bundle = await rauc.inspect(source)
            check(bundle, note.version, older=asked.older)
            trial = Trial(
                slot=other(note.slot), version=bundle.version, digest=bundle.digest, size=bundle.size,
                was=note.version, mesh_before=await asyncio.to_thread(is_mesh_up), at=time.time(),
            )  # fmt: skip
            return await _write(source, trial, notes, rauc, tell)
        finally:
            await asyncio.shield(rauc.stop())


async def _write(source: str, trial: Trial, notes: Notes, rauc: Rauc, tell: Tell) -> Installed:
    """From here on the other slot is overwritten, and what was rolled back before is forgotten."""
    notes.write_last(Last(at=trial.at))
    notes.write_trial(trial)
    note = notes.boot()
    if note is not None and note.rolled_back:
        notes.write_boot(msgspec.structs.replace(note, rolled_back=""))
    try:
        await rauc.install(source, tell)
    except UpdateError as error:
        notes.write_trial(None)
        notes.write_last(
            Last(f"version {trial.version} was not installed: {without_login(str(error))}", "", time.time())
        )
        raise
    notes.write_last(Last(f"version {trial.version} waits in slot {trial.slot} for a reboot", "", time.time()))
    return Installed(trial.version, trial.slot)


def forget(notes: Notes) -> None:
    """What is noted of an installation that was stopped: there is nothing to be tried."""
    trial = notes.trial()
    if trial is not None:
        notes.write_trial(None)
        notes.write_last(Last(f"the installation of version {trial.version} was stopped", "", time.time()))


def check_board(notes: Notes) -> BootNote:
    """This boot's note; UpdateError when the board must not take any bundle now."""
    note = notes.boot()
    if note is None:
        raise UpdateError("this board does not know yet which slot it runs from (try again when it is up)")
    if note.trial:
        raise UpdateError(f"slot {note.slot} is on trial itself (wait until it is marked good: update status)")
    if DATA_FAULT.exists():
        raise UpdateError("the data partition is in RAM, where an update could not be remembered (see: status)")
    return note


def check(bundle: Bundle, running: str, *, older: bool) -> None:
    """UpdateError when this board must not take the bundle, whose signature is right."""
    if bundle.compatible != COMPATIBLE:
        raise UpdateError(f"the bundle is for '{bundle.compatible}', and this board takes '{COMPATIBLE}'")
    if is_older(bundle.version, running) and not older:
        raise UpdateError(f"version {bundle.version} is older than {running}, which runs (add --older to go back)")


def is_mesh_up() -> bool:
    """Whether the supervisor sees the mesh working; a supervisor that does not answer saw nothing."""
    from skywire_board.client import BoardAwayError, BoardLine, BoardRefusedError  # noqa: PLC0415  # not before

    try:
        with BoardLine("update", BOARD_SOCKET) as board:
            return board.status().mesh == "online"
    except (BoardAwayError, BoardRefusedError):
        return False


async def _fetch(source: str, upload: Upload | None, folder: Path, held: contextlib.ExitStack, tell: Tell) -> str:
    """A source that RAUC can open: an address as it is, or a copy of what is sent."""
    if upload is None:
        if source.startswith(("http://", "https://")):
            return source
        raise UpdateError(f"'{source}' is no address (http://…, https://…); a file is sent (run: viscript update FILE)")
    path = folder / INCOMING
    held.callback(path.unlink, missing_ok=True)
    await _receive(upload, path, tell)
    return str(path)


async def _receive(upload: Upload, path: Path, tell: Tell) -> None:
    """All of it into a file, as long as there is room on the data partition."""
    path.parent.mkdir(parents=True, exist_ok=True)
    seen = 0
    with path.open("wb") as file:
        os.fchmod(file.fileno(), 0o600)
        _check_room(path, upload.size, 0)
        while chunk := await upload.read():
            _check_room(path, len(chunk), seen)
            await asyncio.to_thread(file.write, chunk)
            if seen >> 22 != (seen + len(chunk)) >> 22:
                tell(0, f"received {(seen + len(chunk)) >> 20} MB")
            seen += len(chunk)
    if not seen:
        raise UpdateError("the bundle is empty (run: ssh viscript@board update - <FILE.raucb)")


def _check_room(path: Path, more: int, seen: int) -> None:
    """UpdateError when `more` bytes would leave too little on the data partition."""
    room = os.statvfs(path.parent)
    if room.f_bavail * room.f_frsize < ROOM_LEFT + more:
        what = f"{seen >> 20} MB of it came" if seen else f"it has {more >> 20} MB"
        raise UpdateError(
            f"no room for the bundle on the data partition: {what}, "
            f"{ROOM_LEFT >> 20} MB must stay free (an address needs no room: update http://…)"
        )
